import { type GtidSet, gtidCount, gtidSubtract, gtidUnion } from '@understudy/core';
import { formatMysqlGtids, parseMariadbGtids, parseMysqlGtids } from '@understudy/mysql/parts';

/** How a product counts its transactions (`Dialect.gtids`). */
export type GtidKind = 'sets' | 'domains';

/**
 * Reads a position as a set of transactions. MySQL says a set. MariaDB says the newest transaction of each domain and server; as each
 * domain has one writer here, whose numbers ascend without a hole, that is everything up to it.
 *
 * @returns the transactions by source, a server's uuid or `domain-server`; null when the text is something else.
 */
export function readPosition(kind: GtidKind, text: string): GtidSet | null {
  if (kind === 'sets') return parseMysqlGtids(text);
  const gtids = parseMariadbGtids(text.replaceAll(/\s/g, ''));
  if (gtids === null) return null;
  return gtidUnion(
    ...gtids.map(
      ({ domain, server, sequence }): GtidSet => new Map([[`${domain}-${server}`, [{ first: 1n, last: sequence }]]]),
    ),
  );
}

/** The same as text, as the server itself would write it; MariaDB's with both ends where it does not begin at 1. */
export function positionText(kind: GtidKind, set: GtidSet): string {
  if (kind === 'sets') return formatMysqlGtids(set);
  const sources = [...set].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return sources
    .flatMap(([source, intervals]) =>
      intervals.map(({ first, last }) => (first <= 1n ? `${source}-${last}` : `${source}-${first}…${last}`)),
    )
    .join(',');
}

/** What one server has executed and the other has not. */
export interface Difference {
  readonly set: GtidSet;
  readonly transactions: bigint;
}

export function missingFrom(held: GtidSet, other: GtidSet): Difference {
  const set = gtidSubtract(held, other);
  return { set, transactions: gtidCount(set) };
}
