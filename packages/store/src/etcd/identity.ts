/** Remembers which etcd cluster this store talks to and how far it has been seen, and refuses anything else. */

import { StoreError } from '../errors.ts';
import type { Revision, StoreId } from '../port.ts';
import type { Failure } from './failure.ts';

export class Identity {
  #clusterId: StoreId | null = null;
  #confirmedBy = '';
  #seen = 0 as Revision;

  /** The newest revision seen so far; linearizable reads that start from now on cannot be older. */
  get seen(): Revision {
    return this.#seen;
  }

  /** Null when the answer is from the known cluster, or is the first one; otherwise the reason to refuse it. */
  check(clusterId: StoreId, endpoint: string): Failure | null {
    if (this.#clusterId === null) {
      this.#clusterId = clusterId;
      this.#confirmedBy = endpoint;
    }
    if (clusterId === this.#clusterId) return null;
    const text = `belongs to etcd cluster ${clusterId}, but ${this.#confirmedBy} said ${this.#clusterId}; correct store.endpoints, or restart the agent if the store was made anew on purpose`;
    return { endpoint, code: 'wrong-cluster', effect: 'none', helps: 'endpoint', text };
  }

  /** Remembers a revision that an answer of the cluster carried. */
  note(revision: Revision): void {
    if (revision > this.#seen) this.#seen = revision;
  }

  /** Throws `revision-went-back` when a linearizable read is older than `floor`, the value of `seen` as it was sent. */
  checkRead(revision: Revision, floor: Revision): void {
    this.note(revision);
    if (revision >= floor) return;
    throw new StoreError({
      code: 'revision-went-back',
      retry: 'unsafe',
      message: `etcd is at revision ${revision}, but ${floor} was seen before: it was restored from a backup or emptied. Check what was lost, then restart the agents.`,
    });
  }
}
