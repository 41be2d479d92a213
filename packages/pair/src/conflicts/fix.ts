import { quoteIdentifier, type Session } from '@understudy/mysql/parts';
import type { RowChange } from '../decide/rows.ts';
import { closeServer } from '../server/link.ts';
import type { PairServer } from '../server/server.ts';
import { keyCondition, literalOf, logLiteral, readRows, type StoredRow, type TableShape, tableName } from './shape.ts';

const timeoutMs = 10_000;

/**
 * Runs `work` on a server that is closed for everybody else, in a session whose changes are written to no log: they are this server's alone.
 */
export async function unlogged<T>(server: PairServer, work: (session: Session) => Promise<T>): Promise<T> {
  const { admitPrivileged } = server.dialect;
  return server.sql.fresh(timeoutMs, async (session) => {
    await prepareReading(session);
    await session.query('SET SESSION sql_log_bin = 0, foreign_key_checks = 0', [], timeoutMs);
    if (admitPrivileged !== null) await session.query(admitPrivileged, [], timeoutMs);
    try {
      return await work(session);
    } finally {
      if (admitPrivileged !== null) await session.query(server.dialect.close.statement, [], timeoutMs);
    }
  });
}

/** Times are read and written in one zone, whatever the servers' own. */
export async function prepareReading(session: Session): Promise<void> {
  await session
    .query("SET SESSION time_zone = '+00:00', transaction_isolation = 'READ-COMMITTED'", [], timeoutMs)
    .catch(() => session.query("SET SESSION time_zone = '+00:00', tx_isolation = 'READ-COMMITTED'", [], timeoutMs));
}

/** Removes a row by its primary key. */
export async function removeRow(session: Session, shape: TableShape, row: StoredRow): Promise<void> {
  await session.query(`DELETE FROM ${tableName(shape)} WHERE ${keyCondition(shape, row)}`, [], timeoutMs);
}

/** Writes a row as it was read. */
export async function addRow(session: Session, shape: TableShape, row: StoredRow): Promise<void> {
  const columns = shape.columns.filter(({ origin }) => origin === 'stored');
  const names = columns.map(({ name }) => quoteIdentifier(name)).join(', ');
  const values = columns.map((column) => literalOf(column, row.get(column.name) ?? null)).join(', ');
  await session.query(`INSERT INTO ${tableName(shape)} (${names}) VALUES (${values})`, [], timeoutMs);
}

/**
 * Writes the row that a change expects to find. Only its key has to be exact: the change replaces or removes it. What the log does not say
 * exactly is left to the column's default.
 */
export async function addExpected(session: Session, shape: TableShape, { before }: RowChange): Promise<void> {
  const known = shape.columns
    .filter(({ origin }) => origin === 'stored')
    .flatMap((column) => {
      const literal = logLiteral(column, before.get(column.place));
      return literal === null ? [] : [[column, literal] as const];
    });
  const names = known.map(([{ name }]) => quoteIdentifier(name)).join(', ');
  await session.query(
    `INSERT INTO ${tableName(shape)} (${names}) VALUES (${known.map(([, literal]) => literal).join(', ')})`,
    [],
    timeoutMs,
  );
}

/** A row as it is to be: `wanted`, or gone. */
export interface WantedRow {
  readonly shape: TableShape;
  readonly key: StoredRow;
  readonly wanted: StoredRow | null;
}

/** Makes rows what they are to be, all in one transaction; those that give way go first, so that their unique values are free. */
export async function setRows(session: Session, rows: readonly WantedRow[]): Promise<void> {
  await session.query('START TRANSACTION', [], timeoutMs);
  const missing: WantedRow[] = [];
  for (const each of rows) {
    const before = (await readRows(session, each.shape, keyCondition(each.shape, each.key), 1))[0] ?? null;
    if (isSame(before, each.wanted)) continue;
    if (before !== null) await removeRow(session, each.shape, each.key);
    missing.push(each);
  }
  for (const { shape, wanted } of missing) if (wanted !== null) await addRow(session, shape, wanted);
  await session.query('COMMIT', [], timeoutMs);
}

/** Whether two readings of a row are the same. */
export function isSame(a: StoredRow | null, b: StoredRow | null): boolean {
  if (a === null || b === null) return a === b;
  return JSON.stringify([...a]) === JSON.stringify([...b]);
}

/** Closes both servers for a repair, so that no client's change is overwritten by it. The supervisor opens them again afterwards. */
export async function closeBoth(servers: readonly PairServer[], withinMs: number): Promise<void> {
  for (const server of servers) await closeServer(server, withinMs);
}
