import { monotonicMs } from '@understudy/base';
import { type GtidPosition, gtidCount } from '@understudy/core';
import type { Dialect } from '../dialect/dialect.ts';
import type { Session } from '../sql/session.ts';

const everyMs = 5000;
const queryTimeoutMs = 500;
/** Until something was measured: a small row change. */
const assumedBytes = 400;

/** The average size of a transaction in the log, for estimates of lag in bytes. */
export class TransactionSizes {
  bytesPerTransaction = assumedBytes;
  #last: { readonly file: string; readonly bytes: number; readonly count: bigint } | null = null;
  #lookedMs = Number.NEGATIVE_INFINITY;

  /** Measures on a leader, now and then, how much the log has grown by how many transactions. */
  async look(session: Session, { logStatus }: Pick<Dialect, 'logStatus'>, position: GtidPosition): Promise<void> {
    const nowMs = monotonicMs();
    if (nowMs - this.#lookedMs < everyMs) return;
    this.#lookedMs = nowMs;
    const [row] = await session.query(logStatus, [], queryTimeoutMs);
    if (row !== undefined) this.note(row.File ?? '', Number(row.Position), gtidCount(position.set));
  }

  note(file: string, bytes: number, count: bigint): void {
    const last = this.#last;
    this.#last = { file, bytes, count };
    if (last === null || last.file !== file || count <= last.count || bytes <= last.bytes) return;
    this.bytesPerTransaction = Math.round((bytes - last.bytes) / Number(count - last.count));
  }
}
