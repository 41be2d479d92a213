/** A value as the log's decoder writes it, read back: a number or a text stays text; null is NULL. */
export type LogValue = { readonly kind: 'null' } | { readonly kind: 'text' | 'raw'; readonly text: string };

/** One row change in a log. Values by the column's place, from 1 on. */
export interface RowChange {
  readonly kind: 'insert' | 'update' | 'delete';
  readonly schema: string;
  readonly table: string;
  readonly before: ReadonlyMap<number, LogValue>;
  readonly after: ReadonlyMap<number, LogValue>;
}

/** A transaction in a log, and its row changes in order. */
export interface LogTransaction {
  readonly gtid: string;
  readonly changes: readonly RowChange[];
}

interface Draft {
  readonly kind: RowChange['kind'];
  readonly schema: string;
  readonly table: string;
  readonly before: Map<number, LogValue>;
  readonly after: Map<number, LogValue>;
  part: 'before' | 'after';
}

const heads = [
  [/^INSERT INTO /, 'insert', 'after'],
  [/^UPDATE /, 'update', 'before'],
  [/^DELETE FROM /, 'delete', 'before'],
] as const;

/**
 * Reads what `mysqlbinlog -v` or `mariadb-binlog -v` prints.
 *
 * @returns the transactions with at least a GTID, in the order of the log.
 */
export function readDecodedLog(text: string): readonly LogTransaction[] {
  const transactions: { gtid: string; drafts: Draft[] }[] = [];
  for (const line of text.split('\n')) {
    const gtid = gtidOf(line);
    if (gtid !== null) transactions.push({ gtid, drafts: [] });
    else if (line.startsWith('### ')) readRowLine(line.slice(4), transactions.at(-1)?.drafts ?? []);
  }
  return transactions.map(({ gtid, drafts }) => ({
    gtid,
    changes: drafts.map(({ kind, schema, table, before, after }) => ({ kind, schema, table, before, after })),
  }));
}

/** `SET @@SESSION.GTID_NEXT= 'uuid:5'` of MySQL, `#… GTID 2-2-5 trans` of MariaDB. */
function gtidOf(line: string): string | null {
  const mysql = /^SET @@SESSION\.GTID_NEXT= '([^']+:\d+)'/.exec(line)?.[1];
  if (mysql !== undefined) return mysql.toLowerCase();
  return /^#\d+ +\d+:\d+:\d+ server id \d+ .*\bGTID (\d+-\d+-\d+)\b/.exec(line)?.[1] ?? null;
}

function readRowLine(line: string, drafts: Draft[]): void {
  for (const [pattern, kind, part] of heads) {
    const name = /^`((?:[^`]|``)*)`\.`((?:[^`]|``)*)`/.exec(line.replace(pattern, ''));
    if (!pattern.test(line) || name === null) continue;
    const [schema, table] = [name[1] ?? '', name[2] ?? ''].map((each) => each.replaceAll('``', '`'));
    drafts.push({ kind, schema: schema ?? '', table: table ?? '', before: new Map(), after: new Map(), part });
    return;
  }
  const draft = drafts.at(-1);
  if (draft === undefined) return;
  if (line === 'WHERE') draft.part = 'before';
  if (line === 'SET') draft.part = 'after';
  const [, place, value] = /^ {2}@(\d+)=(.*)$/.exec(line) ?? [];
  if (place !== undefined && value !== undefined) draft[draft.part].set(Number(place), readValue(value));
}

/** Values of unsigned columns come twice, `-1 (18446744073709551615)`: the second is the one. */
function readValue(text: string): LogValue {
  if (text === 'NULL') return { kind: 'null' };
  const quoted = /^'(.*)'$/s.exec(text)?.[1];
  if (quoted !== undefined) return { kind: 'text', text: unescapeText(quoted) };
  return { kind: 'raw', text: /^-?\d+ \((\d+)\)$/.exec(text)?.[1] ?? text };
}

/** `\x27` is a byte; several in a row may be one letter. */
function unescapeText(text: string): string {
  return text.replaceAll(/(?:\\x[0-9a-f]{2})+/gi, (run) =>
    new TextDecoder().decode(Uint8Array.from(run.slice(2).split('\\x'), (hex) => Number.parseInt(hex, 16))),
  );
}

/** A value for people. */
export function valueText(value: LogValue | undefined): string {
  if (value === undefined) return '?';
  if (value.kind === 'null') return 'NULL';
  return value.kind === 'raw' ? value.text : `'${value.text}'`;
}
