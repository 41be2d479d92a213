import { quoteIdentifier, quoteLiteral, type Session } from '@understudy/mysql/parts';
import { isBytes, literalOf, type StoredRow, type TableShape, tableName } from './shape.ts';

const timeoutMs = 30_000;
const chunkRows = 1000;

/** A part of a table in the order of its primary key: after `from` (null: from the beginning), up to `to` (null: to the end). */
export interface Chunk {
  readonly from: StoredRow | null;
  readonly to: StoredRow | null;
}

/** Bytes and not letters are compared: `a` and `A` are not the same row. No digit is `N`, which stands for NULL. */
function rowDigest({ columns }: TableShape): string {
  const parts = columns.map(({ name }) => `COALESCE(HEX(CAST(${quoteIdentifier(name)} AS BINARY)), 'N')`);
  // MySQL 9.6 has neither MD5 nor SHA1 any more.
  return `LEFT(SHA2(CONCAT_WS(',', ${parts.join(', ')}), 256), 32)`;
}

const keyList = ({ primary }: TableShape): string => primary.map(({ name }) => quoteIdentifier(name)).join(', ');

function keyValues({ primary }: TableShape, row: StoredRow): string {
  return primary.map((column) => literalOf(column, row.get(column.name) ?? null)).join(', ');
}

function within(shape: TableShape, { from, to }: Chunk): string {
  const after = from === null ? [] : [`(${keyList(shape)}) > (${keyValues(shape, from)})`];
  const until = to === null ? [] : [`(${keyList(shape)}) <= (${keyValues(shape, to)})`];
  return [...after, ...until].join(' AND ') || 'TRUE';
}

function keySelection({ primary }: TableShape): string {
  return primary
    .map((column, index) => {
      const name = quoteIdentifier(column.name);
      return `${isBytes(column) ? `HEX(${name})` : name} AS k${index}`;
    })
    .join(', ');
}

function keyOf({ primary }: TableShape, row: Readonly<Record<string, string | null>>): StoredRow {
  return new Map(primary.map(({ name }, index) => [name, row[`k${index}`] ?? null]));
}

/** The end of the chunk that begins after `from`; null: it is the last one. */
export async function chunkEnd(session: Session, shape: TableShape, from: StoredRow | null): Promise<StoredRow | null> {
  const statement = `SELECT ${keySelection(shape)} FROM ${tableName(shape)} WHERE ${within(shape, { from, to: null })}
    ORDER BY ${keyList(shape)} LIMIT 1 OFFSET ${chunkRows - 1}`;
  const [row] = await session.query(statement, [], timeoutMs);
  return row === undefined ? null : keyOf(shape, row);
}

/** One value for all rows of a chunk, and their number. */
export async function chunkDigest(
  session: Session,
  shape: TableShape,
  chunk: Chunk,
): Promise<{ readonly rows: number; readonly digest: string }> {
  const half = (start: number): string =>
    `COALESCE(BIT_XOR(CAST(CONV(SUBSTRING(d, ${start}, 16), 16, 10) AS UNSIGNED)), 0)`;
  const statement = `SELECT COUNT(*) AS n, CONCAT(${half(1)}, '-', ${half(17)}) AS x
    FROM (SELECT ${rowDigest(shape)} AS d FROM ${tableName(shape)} WHERE ${within(shape, chunk)}) AS r`;
  const [row] = await session.query(statement, [], timeoutMs);
  return { rows: Number(row?.n ?? 0), digest: row?.x ?? '' };
}

/** The digest of each row of a chunk, by the text of its key; and the keys themselves. */
export async function rowDigests(
  session: Session,
  shape: TableShape,
  chunk: Chunk,
): Promise<{ readonly digests: ReadonlyMap<string, string>; readonly keys: ReadonlyMap<string, StoredRow> }> {
  const statement = `SELECT ${keySelection(shape)}, ${rowDigest(shape)} AS d FROM ${tableName(shape)} WHERE ${within(shape, chunk)}`;
  const digests = new Map<string, string>();
  const keys = new Map<string, StoredRow>();
  for (const row of await session.query(statement, [], timeoutMs)) {
    const key = keyOf(shape, row);
    const text = JSON.stringify([...key.values()]);
    digests.set(text, row.d ?? '');
    keys.set(text, key);
  }
  return { digests, keys };
}

/** The digest of one row; null when there is none. */
export async function oneDigest(session: Session, shape: TableShape, key: StoredRow): Promise<string | null> {
  const condition = shape.primary
    .map((column) => `${quoteIdentifier(column.name)} <=> ${literalOf(column, key.get(column.name) ?? null)}`)
    .join(' AND ');
  const [row] = await session.query(
    `SELECT ${rowDigest(shape)} AS d FROM ${tableName(shape)} WHERE ${condition}`,
    [],
    timeoutMs,
  );
  return row?.d ?? null;
}

/** About how many rows a table has. */
export async function roughRows(session: Session, { schema, table }: TableShape): Promise<number> {
  const where = `table_schema = ${quoteLiteral(schema)} AND table_name = ${quoteLiteral(table)}`;
  const [row] = await session.query(
    `SELECT table_rows AS n FROM information_schema.tables WHERE ${where}`,
    [],
    timeoutMs,
  );
  return Number(row?.n ?? 0);
}
