import { readChannel, type Session, type ThreadError } from '@understudy/mysql/parts';
import type { Problem } from '../control/protocol.ts';
import type { LogTransaction, LogValue, RowChange } from '../decide/rows.ts';
import { otherSide, type SideName } from '../decide/sides.ts';
import { firstUnexecuted, meaningOf, readStopText } from '../decide/stops.ts';
import { readLog } from '../server/binlog.ts';
import { readServer } from '../server/look.ts';
import type { PairServer } from '../server/server.ts';
import {
  conditionOf,
  isBytes,
  keyText,
  logLiteral,
  plainDate,
  plainRow,
  readRows,
  readShape,
  type StoredRow,
  type TableShape,
} from './shape.ts';

const timeoutMs = 5000;
const rowsShown = 20;

/** A change that cannot be applied as it is, and why. */
export interface Obstacle {
  readonly change: RowChange;
  readonly shape: TableShape;
  /** `taken`: these rows hold a unique value that the change brings. `missing`: the row to be changed is not here. */
  readonly why:
    | { readonly kind: 'taken'; readonly key: string; readonly rows: readonly StoredRow[] }
    | { readonly kind: 'missing' };
}

/** Why a server's applier has stopped. */
export interface Stop {
  readonly side: SideName;
  readonly error: ThreadError;
  readonly gtid: string | null;
  /** Null: its rows could not be read from the other server's log. */
  readonly transaction: LogTransaction | null;
  readonly obstacles: readonly Obstacle[];
}

/** Finds out why a server's applier has stopped; null when it has not. @throws EngineError */
export async function explainStop(server: PairServer, source: PairServer): Promise<Stop | null> {
  const session = await server.sql.monitor(timeoutMs);
  const channel = await readChannel(session, server.dialect, timeoutMs);
  if (channel?.applierError == null) return null;
  const error = channel.applierError;
  const view = await readServer(server);
  const gtid = readStopText(error.text).gtid ?? firstUnexecuted(view.received, view.executed);
  const transaction = gtid === null ? null : await transactionOf(source, gtid);
  const obstacles = transaction === null ? [] : await obstaclesTo(session, transaction);
  return { side: server.name, error, gtid, transaction, obstacles };
}

async function transactionOf(source: PairServer, gtid: string): Promise<LogTransaction | null> {
  const query = { text: gtid, count: 1, has: (each: string) => each === gtid };
  return readLog(source, query).then(
    (found) => found[0] ?? null,
    () => null,
  );
}

/** Everything in a transaction that this server could not apply now. A row that the transaction itself has touched before is left out. */
export async function obstaclesTo(session: Session, { changes }: LogTransaction): Promise<readonly Obstacle[]> {
  const shapes = new Map<string, TableShape | null>();
  const touched = new Set<string>();
  const found: Obstacle[] = [];
  for (const change of changes) {
    const name = `${change.schema}.${change.table}`;
    const shape = shapes.has(name) ? (shapes.get(name) ?? null) : await readShape(session, change.schema, change.table);
    shapes.set(name, shape);
    if (shape === null || shape.primary.length === 0) continue;
    const keys = [change.before, change.after].filter(({ size }) => size > 0).map((row) => keyLiterals(shape, row));
    const isTouched = keys.some((key) => touched.has(`${name} ${key?.map(([, value]) => value).join()}`));
    for (const key of keys) touched.add(`${name} ${key?.map(([, value]) => value).join()}`);
    if (!isTouched) found.push(...(await obstacles(session, shape, change)));
  }
  return found;
}

/** The primary key of a row of a log; null when the log does not say it exactly. */
export function keyLiterals(
  shape: TableShape,
  row: ReadonlyMap<number, LogValue>,
): readonly (readonly [TableShape['columns'][number], string])[] | null {
  return literals(shape.primary, row);
}

function literals(columns: TableShape['columns'], row: ReadonlyMap<number, LogValue>) {
  const pairs = columns.map((column) => [column, logLiteral(column, row.get(column.place))] as const);
  const known = pairs.flatMap(([column, value]) => (value === null ? [] : [[column, value] as const]));
  return known.length === pairs.length ? known : null;
}

async function obstacles(session: Session, shape: TableShape, change: RowChange): Promise<readonly Obstacle[]> {
  const found: Obstacle[] = [];
  const own = change.kind === 'insert' ? null : keyLiterals(shape, change.before);
  const ownRows = own === null ? [] : await readRows(session, shape, conditionOf(own), 1);
  if (own !== null && ownRows.length === 0) found.push({ change, shape, why: { kind: 'missing' } });
  if (change.kind === 'delete') return found;
  for (const key of shape.uniques) {
    const values = literals(key.columns, change.after);
    // NULL is never taken.
    if (values === null || values.some(([, value]) => value === 'NULL')) continue;
    const own = new Set(ownRows.map((row) => keyText(shape, row)));
    const rows = (await readRows(session, shape, conditionOf(values))).filter((row) => !own.has(keyText(shape, row)));
    if (rows.length > 0) found.push({ change, shape, why: { kind: 'taken', key: key.name, rows } });
  }
  return found;
}

/** Logs have a timestamp as seconds. */
function readableText(type: string | undefined, text: string): string {
  if (type !== 'timestamp' || !/^\d+(\.\d+)?$/.test(text)) return plainDate(type ?? '', text);
  return new Date(Number(text) * 1000).toISOString().slice(0, 19).replace('T', ' ');
}

/** A row of a log by the names of its columns, as the log has it. */
export function namedRow(
  shape: TableShape | null,
  row: ReadonlyMap<number, LogValue>,
): Record<string, string | null> | null {
  if (row.size === 0) return null;
  return Object.fromEntries(
    [...row].map(([place, value]) => {
      const column = shape?.columns.find((each) => each.place === place);
      return [column?.name ?? `@${place}`, value.kind === 'null' ? null : readableText(column?.type, value.text)];
    }),
  );
}

/** Stops of one or both servers as one problem: the same conflict usually stops both. */
export function stopProblem(stops: readonly Stop[]): Problem {
  const texts = stops.map(stopText);
  const rows = stops.flatMap(stopRows).slice(0, rowsShown);
  const first = stops.flatMap(({ obstacles: all }) => all)[0];
  const change = first?.change ?? stops.flatMap(({ transaction }) => transaction?.changes ?? [])[0];
  return {
    id: 'stop',
    kind: 'stop',
    text: texts.join(' '),
    table: change === undefined ? null : `${change.schema}.${change.table}`,
    key: first?.why.kind === 'taken' ? first.why.key : first === undefined ? null : 'PRIMARY',
    rows,
    artifact: null,
  };
}

function stopText({ side, error, gtid, transaction, obstacles: all }: Stop): string {
  const source = otherSide(side);
  const places = all.map(({ change, why }) => {
    const table = `${change.schema}.${change.table}`;
    return why.kind === 'taken' ? `key ${why.key} of ${table}` : `a row of ${table} that is not on ${side}`;
  });
  const where = places.length === 0 ? '' : ` It concerns ${[...new Set(places)].join(', ')}.`;
  const unknown = transaction === null ? ` The transaction's rows could not be read from the log of ${source}.` : '';
  const what = `${side} has stopped at transaction ${gtid ?? '(unknown)'} of ${source} with error ${error.number}: ${meaningOf(error.number)}.`;
  return `${what}${where}${unknown}`;
}

function stopRows({ side, transaction, obstacles: all }: Stop): Problem['rows'] {
  const source = otherSide(side);
  if (all.length === 0) {
    return (transaction?.changes ?? []).map((change) => ({
      side: source,
      what: `sent ${change.kind}`,
      row: namedRow(null, change.after.size > 0 ? change.after : change.before),
    }));
  }
  return all.flatMap(({ change, shape, why }): Problem['rows'] => [
    {
      side: source,
      what: `sent ${change.kind}`,
      row: namedRow(shape, change.after.size > 0 ? change.after : change.before),
    },
    ...(why.kind === 'missing'
      ? [{ side, what: 'has', row: null }]
      : why.rows.map((row) => ({ side, what: 'has', row: plainRow(row) }))),
  ]);
}

const inexact = new Set(['timestamp', 'enum', 'set', 'bit', 'float', 'double']);

/** Whether the rows of a table can be told exactly from a decoded log. */
export const isNameable = (shape: TableShape): boolean =>
  shape.primary.length > 0 && !shape.primary.some((column) => isBytes(column) || inexact.has(column.type));

/** The primary key of a row of a log; null when the row has none. */
export function keyOfLog(shape: TableShape, row: ReadonlyMap<number, LogValue>): StoredRow | null {
  if (row.size === 0) return null;
  return new Map(
    shape.primary.map((column) => {
      const value = row.get(column.place);
      return [column.name, value === undefined || value.kind === 'null' ? null : plainDate(column.type, value.text)];
    }),
  );
}
