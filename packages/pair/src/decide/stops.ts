import { type GtidSet, gtidSubtract } from '@understudy/core';

/** What the text of an applier's error says about where it stopped. */
export interface StopPlace {
  readonly gtid: string | null;
  readonly file: string | null;
  readonly endPos: number | null;
}

/** Reads the text of an applier's error, as both products write it. */
export function readStopText(text: string): StopPlace {
  const gtid = /transaction '([^']+:\d+)'/.exec(text)?.[1]?.toLowerCase() ?? null;
  const [, file = null, endPos] = /(?:source|master) log '?([\w.-]+\.\d+)'?, end_log_pos (\d+)/.exec(text) ?? [];
  return { gtid, file, endPos: endPos === undefined ? null : Number(endPos) };
}

/** The first transaction that was received and not executed, of the source that has the fewest left: the applier keeps the order of each. */
export function firstUnexecuted(received: GtidSet, executed: GtidSet): string | null {
  for (const [source, intervals] of gtidSubtract(received, executed)) {
    const first = intervals[0]?.first;
    // `uuid:5` of MySQL, `1-1-5` of MariaDB.
    if (first !== undefined)
      return source.includes(':') || source.length > 25 ? `${source}:${first}` : `${source}-${first}`;
  }
  return null;
}

/** Errors that are about rows: a unique key that is taken, a row that is not there. */
const rowErrors = new Set([1062, 1022, 1586, 1761, 1762, 1032]);

export const isAboutRows = (number: number): boolean => rowErrors.has(number);

const meanings: readonly (readonly [ReadonlySet<number>, string])[] = [
  [
    new Set([1062, 1022, 1586, 1761, 1762]),
    'a unique key is taken by another row here: both servers gave the same value',
  ],
  [new Set([1032]), 'a row that was changed there is not here: it was deleted here, or never arrived'],
  [
    new Set([1048, 1364]),
    'a column that must not be NULL would get NULL: the definitions of the table are not the same',
  ],
  [new Set([1451, 1452, 1216, 1217]), 'a foreign key forbids it: its parent was deleted here, or has children here'],
  [
    new Set([1050, 1051, 1146, 1007, 1008, 1060, 1061, 1091]),
    'the definitions of tables are not the same: both servers had DDL',
  ],
  [new Set([1205, 1213]), 'it waited too long for a lock that a session here holds'],
];

/** What an error that stops replication means in a pair. */
export const meaningOf = (number: number): string =>
  meanings.find(([numbers]) => numbers.has(number))?.[1] ?? 'see the text of the error';
