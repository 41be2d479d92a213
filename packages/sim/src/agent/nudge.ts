import type { AckRule } from '@understudy/core';
import { writeNudge } from '../server/accounts.ts';
import { memberName } from '../server/acks.ts';
import type { SimServer } from '../server/server.ts';

const STALLED_AFTER_MS = 150;

/** Frees commits that wait for acknowledgements which nobody will send any more, as packages/mysql does: by another transaction. */
export class Nudge {
  #stalled: { readonly committed: number; readonly since: number } | null = null;

  /** Called with every look at a leader; `runMs` is the running time of the agent. */
  consider(server: SimServer, rule: AckRule | null, runMs: number): void {
    const readers = server.senders.filter(
      ({ account, sink }) => account === 'ack' && rule?.members.includes(memberName(sink)) === true,
    );
    if (!server.waitsForStandbys || server.waiters.length === 0 || readers.length < (rule?.required ?? 0)) {
      this.#stalled = null;
    } else if (this.#stalled?.committed !== server.committedLsn) {
      this.#stalled = { committed: server.committedLsn, since: runMs };
    } else if (runMs - this.#stalled.since >= STALLED_AFTER_MS) {
      this.#stalled = null;
      writeNudge(server);
    }
  }
}
