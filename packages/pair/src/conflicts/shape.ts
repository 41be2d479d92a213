import { quoteIdentifier, quoteLiteral, type Session } from '@understudy/mysql/parts';
import type { LogValue } from '../decide/rows.ts';

const timeoutMs = 10_000;

export interface ColumnShape {
  readonly name: string;
  /** From 1 on, as logs count. */
  readonly place: number;
  /** `int`, `varchar`, … in lower case. */
  readonly type: string;
  readonly origin: 'stored' | 'generated';
}

export interface UniqueKey {
  readonly name: string;
  readonly columns: readonly ColumnShape[];
}

/** What has to be known of a table to name its rows, to compare them and to copy them. */
export interface TableShape {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly ColumnShape[];
  /** Empty: the table has none. */
  readonly primary: readonly ColumnShape[];
  /** The primary key and all others. */
  readonly uniques: readonly UniqueKey[];
  readonly triggers: number;
}

/** A row by column, each value as text that its column can be given again; null for NULL. */
export type StoredRow = ReadonlyMap<string, string | null>;

const ownSchemas = "'mysql', 'sys', 'information_schema', 'performance_schema', 'understudy'";
const numbers = new Set('tinyint smallint mediumint int bigint decimal float double year bit'.split(' '));
const bytes = new Set(
  'binary varbinary tinyblob blob mediumblob longblob geometry point linestring polygon multipoint multilinestring multipolygon geometrycollection geomcollection vector'.split(
    ' ',
  ),
);

export const isBytes = ({ type }: ColumnShape): boolean => bytes.has(type);

/** Names of the tables with data of applications. */
export async function listTables(
  session: Session,
): Promise<readonly { readonly schema: string; readonly table: string }[]> {
  const rows = await session.query(
    `SELECT table_schema AS s, table_name AS t FROM information_schema.tables
      WHERE table_type = 'BASE TABLE' AND table_schema NOT IN (${ownSchemas}) ORDER BY table_schema, table_name`,
    [],
    timeoutMs,
  );
  return rows.map(({ s, t }) => ({ schema: s ?? '', table: t ?? '' }));
}

/** The shape of a table; null when there is none. */
export async function readShape(session: Session, schema: string, table: string): Promise<TableShape | null> {
  const columnRows = await session.query(
    `SELECT column_name AS name, ordinal_position AS place, data_type AS type, extra AS extra
      FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position`,
    [schema, table],
    timeoutMs,
  );
  if (columnRows.length === 0) return null;
  const columns = columnRows.map(
    ({ name, place, type, extra }): ColumnShape => ({
      name: name ?? '',
      place: Number(place),
      type: (type ?? '').toLowerCase(),
      origin: /\b(VIRTUAL|STORED|PERSISTENT) GENERATED|^(VIRTUAL|PERSISTENT|STORED)/i.test(extra ?? '')
        ? 'generated'
        : 'stored',
    }),
  );
  const keyRows = await session.query(
    `SELECT index_name AS k, column_name AS c FROM information_schema.statistics
      WHERE table_schema = ? AND table_name = ? AND non_unique = 0 ORDER BY index_name, seq_in_index`,
    [schema, table],
    timeoutMs,
  );
  const uniques = uniquesOf(columns, keyRows);
  const [count] = await session.query(
    'SELECT COUNT(*) AS n FROM information_schema.triggers WHERE event_object_schema = ? AND event_object_table = ?',
    [schema, table],
    timeoutMs,
  );
  const primary = uniques.find(({ name }) => name === 'PRIMARY')?.columns ?? [];
  return { schema, table, columns, primary, uniques, triggers: Number(count?.n ?? 0) };
}

/** A key over an expression has no column to name, and is left out. */
function uniquesOf(
  columns: readonly ColumnShape[],
  rows: readonly Readonly<Record<string, string | null>>[],
): readonly UniqueKey[] {
  const keys = new Map<string, (ColumnShape | undefined)[]>();
  for (const { k, c } of rows) {
    const list = keys.get(k ?? '') ?? [];
    list.push(columns.find(({ name }) => name === c));
    keys.set(k ?? '', list);
  }
  return [...keys].flatMap(([name, list]) => {
    const known = list.filter((each) => each !== undefined);
    return known.length === list.length ? [{ name, columns: known }] : [];
  });
}

export const tableName = ({ schema, table }: Pick<TableShape, 'schema' | 'table'>): string =>
  `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;

/** How a column is read so that `literalOf` can write it again: bytes as hexadecimal digits, numbers with all of theirs. */
export function readExpression(column: ColumnShape): string {
  const name = quoteIdentifier(column.name);
  if (isBytes(column)) return `HEX(${name})`;
  if (column.type === 'bit') return `${name} + 0`;
  if (column.type === 'json') return `CAST(${name} AS CHAR)`;
  return column.type === 'float' ? `${name} + 0e0` : name;
}

/** A value that was read in that way, as SQL. */
export function literalOf(column: ColumnShape, value: string | null): string {
  if (value === null) return 'NULL';
  if (isBytes(column)) return `x'${value.replaceAll(/[^0-9a-f]/gi, '')}'`;
  if (numbers.has(column.type) && /^-?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(value)) return value;
  return quoteLiteral(value);
}

/** A value of a decoded log, as SQL; null when the decoder's text does not say which value it was. */
export function logLiteral(column: ColumnShape, value: LogValue | undefined): string | null {
  if (value === undefined) return null;
  if (value.kind === 'null') return 'NULL';
  if (isBytes(column))
    return /^[\x20-\x7e]*$/.test(value.text) ? `x'${Buffer.from(value.text).toString('hex')}'` : null;
  if (value.text.includes('\ufffd')) return null;
  if (value.kind === 'text') return quoteLiteral(plainDate(column.type, value.text));
  if (!/^(-?\d+(\.\d+)?(e[-+]?\d+)?|b'[01]+')$/i.test(value.text)) return null;
  return column.type === 'timestamp' ? `FROM_UNIXTIME(${value.text})` : value.text;
}

/** MySQL's decoder writes a date as `2026:11:21`. */
export const plainDate = (type: string, text: string): string =>
  type === 'date' ? text.replace(/^(\d{4}):(\d\d):(\d\d)$/, '$1-$2-$3') : text;

/** The condition that picks the rows whose columns have these values. */
export function conditionOf(values: readonly (readonly [column: ColumnShape, literal: string])[]): string {
  return values.map(([{ name }, literal]) => `${quoteIdentifier(name)} <=> ${literal}`).join(' AND ');
}

/** The condition that picks one row by its primary key. */
export function keyCondition(shape: TableShape, row: StoredRow): string {
  return conditionOf(shape.primary.map((column) => [column, literalOf(column, row.get(column.name) ?? null)]));
}

/** The values of a row's primary key, for its name. */
export function keyText({ primary }: Pick<TableShape, 'primary'>, row: StoredRow): string {
  return primary.map(({ name }) => row.get(name) ?? 'NULL').join(',');
}

/** Reads rows; at most `limit`. */
export async function readRows(
  session: Session,
  shape: TableShape,
  condition: string,
  limit = 10,
): Promise<readonly StoredRow[]> {
  const list = shape.columns.map((column, index) => `${readExpression(column)} AS c${index}`).join(', ');
  const statement = `SELECT ${list} FROM ${tableName(shape)} WHERE ${condition} LIMIT ${limit}`;
  const rows = await session.query(statement, [], timeoutMs);
  return rows.map((row) => new Map(shape.columns.map(({ name }, index) => [name, row[`c${index}`] ?? null])));
}

/** A row as JSON. */
export const plainRow = (row: StoredRow | null | undefined): Record<string, string | null> | null =>
  row === null || row === undefined ? null : Object.fromEntries(row);
