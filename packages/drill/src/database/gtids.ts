/** Bits of a MariaDB sequence number below those of the history line (ADR 10). */
const lineBits = 44n;

/** A new database is on the first line, which has no marker. */
const firstLine = 1;

/** The history line of a MariaDB position such as `0-2-35184372088840`: the upper bits of its sequence number. Null without one. */
export function lineOfMariadb(position: string): number | null {
  const sequence = sequenceOf(position);
  return sequence === null ? null : Math.max(firstLine, Number(sequence >> lineBits));
}

/** The sequence number of domain 0, which is the only one of a cluster. Null for an empty position. */
export function sequenceOf(position: string): bigint | null {
  const found = /(?:^|,)\s*0-\d+-(\d+)/.exec(position)?.[1];
  return found === undefined ? null : BigInt(found);
}

/**
 * The newest history line in a set of MySQL's GTIDs: the greatest number of the source that is the cluster itself, whose markers begin
 * with the second line.
 *
 * @param set such as `3e11…:1-5,9a2b…:1-3:7`
 * @param cluster the cluster's id, a UUID
 */
export function lineOfMysql(set: string, cluster: string): number {
  const parts = set.toLowerCase().replaceAll(/\s/g, '').split(',');
  const numbers = parts
    .filter((part) => part.startsWith(`${cluster.toLowerCase()}:`))
    .flatMap((part) => part.slice(cluster.length + 1).split(':'))
    .flatMap((interval) => interval.split('-').map(Number))
    .filter((number) => Number.isInteger(number));
  return Math.max(firstLine, ...numbers);
}

/** How many transactions a set of MySQL's GTIDs names, tagged ones too. */
export function countGtids(set: string): number {
  return set
    .replaceAll(/\s/g, '')
    .split(',')
    .flatMap((part) => part.split(':').slice(1))
    .map((interval) => interval.split('-').map(Number))
    .reduce((count, [from, to]) => count + (Number.isInteger(from) ? (to ?? from ?? 0) - (from ?? 0) + 1 : 0), 0);
}
