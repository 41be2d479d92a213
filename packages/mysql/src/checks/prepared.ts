import { monotonicMs } from '@understudy/base';
import type { Dialect } from '../dialect/dialect.ts';
import type { Row, Session } from '../sql/session.ts';

const queryTimeoutMs = 2000;
/** A coordinator that works decides sooner. */
const forgottenAfterMs = 25_000;
const named = 5;

/** The ids of the transactions that are prepared and wait for their coordinator, as `XA COMMIT` takes them. */
export async function preparedTransactions(
  session: Session,
  { preparedXa }: Pick<Dialect, 'preparedXa'>,
): Promise<readonly string[]> {
  return (await session.query(preparedXa, [], queryTimeoutMs)).map(xidOf);
}

/** MariaDB writes `X'61',X'',1`; MySQL writes both parts in one, with their lengths beside it. */
export function xidOf({ data, gtrid_length, formatID }: Row): string {
  const text = data ?? '';
  if (!text.startsWith('0x')) return text;
  const split = 2 + 2 * Number(gtrid_length);
  return `X'${text.slice(2, split)}',X'${text.slice(split)}',${formatID}`;
}

/** What to tell of them; null when there are none. */
export function preparedWarning(ids: readonly string[]): string | null {
  if (ids.length === 0) return null;
  const list = ids.slice(0, named).join('; ') + (ids.length > named ? ` and ${ids.length - named} more` : '');
  const next = 'Ask its coordinator which it is, and run XA COMMIT or XA ROLLBACK with that id on the leader';
  return `${ids.length} prepared XA transaction${ids.length === 1 ? ' waits' : 's wait'} for a decision, with rows locked: ${list}. ${next}; Understudy never decides.`;
}

/** Remembers which ones have been there for so long that nobody seems to decide. */
export class PreparedWatch {
  #since = new Map<string, number>();

  /** @param all whether also those count that were prepared just now: after a promotion their coordinator may be lost. */
  look(ids: readonly string[], all: 'all' | 'forgotten', nowMs: number = monotonicMs()): readonly string[] {
    const longAgo = all === 'all' ? Number.NEGATIVE_INFINITY : nowMs;
    this.#since = new Map(ids.map((id) => [id, this.#since.get(id) ?? longAgo]));
    return ids.filter((id) => nowMs - (this.#since.get(id) ?? nowMs) >= forgottenAfterMs);
  }
}
