import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gtidContains } from '@understudy/core';
import { putFile } from '@understudy/local/parts';
import { namedRow } from '../conflicts/explain.ts';
import { readShape } from '../conflicts/shape.ts';
import { readPosition } from '../decide/positions.ts';
import { type LogTransaction, type RowChange, valueText } from '../decide/rows.ts';
import type { LateRow } from '../decide/state.ts';
import { readLog } from '../server/binlog.ts';
import type { PairServer } from '../server/server.ts';

const timeoutMs = 5000;
const rowsShown = 20;

/** Folder of what was found, decided about and discarded. Nothing in it is ever removed by this program. */
export const artifactFolder = (folder: string): string => join(folder, 'artifacts');

/** Writes a new artifact. @returns its path. */
export async function writeArtifact(folder: string, what: string, content: object): Promise<string> {
  const home = artifactFolder(folder);
  await mkdir(home, { recursive: true, mode: 0o700 });
  const time = new Date().toISOString().replaceAll(/[:.]/g, '').replace('T', '-').replace('Z', '');
  const path = join(home, `${time}-${what}.json`);
  await putFile(path, `${JSON.stringify(content, null, 2)}\n`);
  return path;
}

/** What a server holds alone, as far as its log could be read. */
export interface KeptRows {
  /** Null: the log could not be read. */
  readonly artifact: string | null;
  readonly rows: readonly LateRow[];
}

/** Keeps the rows of transactions that a server holds alone. */
export async function keepRows(server: PairServer, folder: string, transactions: string): Promise<KeptRows> {
  try {
    const found = await readLate(server, transactions);
    const content = {
      at: new Date().toISOString(),
      server: server.name,
      transactions,
      found: found.map(plainTransaction),
    };
    const artifact = await writeArtifact(folder, `late-${server.name}`, content);
    return { artifact, rows: await lateRows(server, found) };
  } catch {
    return { artifact: null, rows: [] };
  }
}

async function lateRows(server: PairServer, found: readonly LogTransaction[]): Promise<readonly LateRow[]> {
  const session = await server.sql.monitor(timeoutMs);
  const rows: LateRow[] = [];
  for (const change of found.flatMap(({ changes }) => changes).slice(0, rowsShown)) {
    const shape = await readShape(session, change.schema, change.table);
    const row = namedRow(shape, change.after.size > 0 ? change.after : change.before);
    rows.push({ side: server.name, what: `alone has ${change.kind} in ${change.schema}.${change.table}`, row });
  }
  return rows;
}

/** The transactions themselves, from the log of the server that holds them. */
async function readLate(server: PairServer, transactions: string): Promise<readonly LogTransaction[]> {
  const kind = server.dialect.gtids;
  if (kind === 'domains')
    return readLog(server, { text: transactions, count: 1_000_000, has: domainMatcher(transactions) });
  const set = readPosition(kind, transactions) ?? new Map();
  const has = (gtid: string): boolean => gtidContains(set, readPosition(kind, gtid) ?? new Map());
  return readLog(server, { text: transactions, count: 1_000_000, has });
}

/** `1-1-101…105` or `1-1-7` (everything up to it). */
function domainMatcher(text: string): (gtid: string) => boolean {
  const ranges = text.split(',').map((part) => {
    const [, source = '', first = '', last] = /^(\d+-\d+)-(\d+)(?:…(\d+))?$/.exec(part) ?? [];
    return { source, first: last === undefined ? 1n : BigInt(first), last: BigInt(last ?? (first || '0')) };
  });
  return (gtid) => {
    const [, source = '', number = '0'] = /^(\d+-\d+)-(\d+)$/.exec(gtid) ?? [];
    return ranges.some((each) => each.source === source && each.first <= BigInt(number) && BigInt(number) <= each.last);
  };
}

/** A transaction as JSON. */
export function plainTransaction({ gtid, changes }: LogTransaction): object {
  return { gtid, changes: changes.map(plainChange) };
}

/** A row change as JSON: values by the column's place, as the log has them. */
export function plainChange({ kind, schema, table, before, after }: RowChange): object {
  const plain = (values: RowChange['before']) =>
    Object.fromEntries([...values].map(([place, value]) => [`@${place}`, valueText(value)]));
  return { kind, table: `${schema}.${table}`, before: plain(before), after: plain(after) };
}
