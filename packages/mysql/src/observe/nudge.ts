import { monotonicMs } from '@understudy/base';
import { kill } from '../commands/readers.ts';
import type { Dialect } from '../dialect/dialect.ts';
import { makeLines, writeBarrier } from '../lines.ts';
import type { LocalSql } from '../sql/local.ts';
import type { AckSample } from './ack-tracker.ts';

const connectTimeoutMs = 1000;
const queryTimeoutMs = 1000;
/** As long as a commit may wait for a replica that comes back. */
const patienceMs = 600_000;
const stalledAfterMs = 150;
/** Longer than a report of a replica and its acknowledgement can be apart. */
const blockedAfterMs = 1500;

/** Who could acknowledge what waits now. */
export interface Acknowledgers {
  /** How many of those who count receive the log. */
  readonly connected: number;
  /** How many of those say that they hold all of it. */
  readonly holdingAll: number;
}

/**
 * Frees commits that wait for an acknowledgement which nobody will send any more.
 *
 * A replica acknowledges what is sent to it. One that connects again as an acknowledger and already holds a transaction (it came just
 * before, over a connection that was cut, or over one that does not acknowledge) is not sent it again, and so never acknowledges it
 * (tried on MySQL 9.7 and MariaDB 11.8). The next transaction covers all before it: when nobody else writes one, we do.
 *
 * MariaDB takes one more group of commits into its log while one waits, and no third (tried on 11.8: the second holds the lock of the log
 * until the first is done). When the replica holds both of them, no transaction can follow. Then the sessions of the first are ended:
 * their clients lose the connection and were told nothing, so nothing is acknowledged that should not be; the log moves on.
 */
export class Nudge {
  readonly #sql: Pick<LocalSql, 'fresh'>;
  readonly #dialect: Pick<Dialect, 'blockingCommits'>;
  #stalled: { readonly acknowledged: number; readonly sinceMs: number } | null = null;
  #blockedSinceMs: number | null = null;
  #work: Promise<void> | null = null;
  #ending: Promise<void> | null = null;

  constructor(sql: Pick<LocalSql, 'fresh'>, dialect: Pick<Dialect, 'blockingCommits'>) {
    this.#sql = sql;
    this.#dialect = dialect;
  }

  /** Called with every look at a leader. */
  consider({ enabled, waiting, acknowledged, required }: AckSample, { connected, holdingAll }: Acknowledgers): void {
    const nowMs = monotonicMs();
    if (enabled === 'off' || waiting === 0 || connected < required) {
      this.#stalled = null;
      this.#blockedSinceMs = null;
      return;
    }
    if (this.#stalled?.acknowledged !== acknowledged) {
      this.#stalled = { acknowledged, sinceMs: nowMs };
      this.#blockedSinceMs = null;
      return;
    }
    if (holdingAll < required) this.#blockedSinceMs = null;
    else this.#blockedSinceMs ??= nowMs;
    if (this.#blockedSinceMs !== null && nowMs - this.#blockedSinceMs >= blockedAfterMs) {
      this.#blockedSinceMs = null;
      this.#unblock();
    }
    if (nowMs - this.#stalled.sinceMs < stalledAfterMs || this.#work !== null) return;
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

  #unblock(): void {
    const { blockingCommits } = this.#dialect;
    if (blockingCommits === null || this.#ending !== null) return;
    const ended = this.#sql.fresh(connectTimeoutMs, async (session) => {
      const sessions = await session.query(blockingCommits, [], queryTimeoutMs);
      for (const { id } of sessions) await kill(session, id ?? '');
    });
    // Whatever went wrong, the next look decides anew.
    this.#ending = ended
      .catch(() => undefined)
      .finally(() => {
        this.#ending = null;
      });
  }
}
