/** Remembers which etcd cluster this store talks to and how far it has been seen, and refuses anything else. */

import type { Revision } from '@understudy/base';
import type { StoreId } from '../port.ts';
import type { Failure } from './failure.ts';
import type { AnswerHeader } from './header.ts';

export class Identity {
  #clusterId: StoreId | null = null;
  #confirmedBy = '';
  #seen = 0 as Revision;
  #lostPast: Failure | null = null;

  /** The newest revision seen so far; linearizable reads that start from now on cannot be older. */
  get seen(): Revision {
    return this.#seen;
  }

  /**
   * Set for good once the store was found to have lost writes. Everything is refused from then on: versions that were
   * compared against may have been given out a second time.
   */
  get lostPast(): Failure | null {
    return this.#lostPast;
  }

  /** Another store, or an older state of this one, is the known one from now on. */
  adopt(clusterId: StoreId, revision: Revision): void {
    this.#clusterId = clusterId;
    this.#confirmedBy = 'an operator';
    this.#seen = revision;
    this.#lostPast = null;
  }

  /** Remembers a revision that was seen in an event. */
  note(revision: Revision): void {
    if (revision > this.#seen) this.#seen = revision;
  }

  /**
   * Null when an answer may be used, otherwise the reason to refuse it. The first answer decides which cluster is the
   * known one. `floor` is the value of `seen` as a linearizable read was sent, or null for other requests, which may
   * be answered by a member that lags.
   */
  check(header: AnswerHeader, endpoint: string, floor: Revision | null): Failure | null {
    if (this.#clusterId === null) {
      this.#clusterId = header.clusterId;
      this.#confirmedBy = endpoint;
    }
    if (header.clusterId !== this.#clusterId) {
      const text = `belongs to etcd cluster ${header.clusterId}, but ${this.#confirmedBy} said ${this.#clusterId}; correct store.endpoints, or restart the agent if the store was made anew on purpose`;
      return { endpoint, code: 'wrong-cluster', effect: 'none', helps: 'endpoint', text };
    }
    if (floor !== null && header.revision < floor) {
      const text = `is at revision ${header.revision}, but ${floor} was seen before: the store was restored from a backup or emptied`;
      this.#lostPast = { endpoint, code: 'revision-went-back', effect: 'none', helps: 'nothing', text };
      return this.#lostPast;
    }
    this.note(header.revision);
    return null;
  }
}
