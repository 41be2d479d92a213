import { monotonicMs } from '@understudy/engine/host';
import { makeLines, writeBarrier } from '../lines.ts';
import type { LocalSql } from '../sql/local.ts';
import type { AckSample } from './acks.ts';

const connectTimeoutMs = 1000;
/** As long as a commit may wait for a replica that comes back. */
const patienceMs = 600_000;
const stalledAfterMs = 150;

/**
 * Frees commits that wait for an acknowledgement which nobody will send any more.
 *
 * A replica acknowledges what is sent to it. One that connects again as an acknowledger and already holds a transaction (it came just
 * before, over a connection that was cut, or over one that does not acknowledge) is not sent it again, and so never acknowledges it
 * (tried on MySQL 9.7 and MariaDB 11.8). The next transaction covers all before it: when nobody else writes one, we do.
 */
export class Nudge {
  readonly #sql: Pick<LocalSql, 'fresh'>;
  #stalled: { readonly acknowledged: number; readonly sinceMs: number } | null = null;
  #work: Promise<void> | null = null;

  constructor(sql: Pick<LocalSql, 'fresh'>) {
    this.#sql = sql;
  }

  /** Called with every look at a leader. */
  consider(
    { enabled, waiting, acknowledged, required, readers }: AckSample,
    isAcknowledger: (user: string) => boolean,
  ): void {
    const enough = readers.filter(isAcknowledger).length >= required;
    if (enabled === 'off' || waiting === 0 || !enough) {
      this.#stalled = null;
      return;
    }
    if (this.#stalled?.acknowledged !== acknowledged) {
      this.#stalled = { acknowledged, sinceMs: monotonicMs() };
      return;
    }
    if (monotonicMs() - this.#stalled.sinceMs < stalledAfterMs || this.#work !== null) return;
    this.#work = this.#write().finally(() => {
      this.#work = null;
    });
  }

  /** Its commit waits like all others; a failure means that the server is going away or closed, and the next look decides anew. */
  async #write(): Promise<void> {
    await this.#sql
      .fresh(connectTimeoutMs, async (session) => {
        await makeLines(session, patienceMs);
        await writeBarrier(session, patienceMs);
      })
      .catch(() => undefined);
  }
}
