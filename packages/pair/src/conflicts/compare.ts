import { monotonicMs } from '@understudy/base';
import type { Session } from '@understudy/mysql/parts';
import type { Problem } from '../control/protocol.ts';
import { differing, judge } from '../decide/judge.ts';
import type { Both } from '../decide/sides.ts';
import { executedBy, waitForExecuted } from '../server/link.ts';
import type { PairServer } from '../server/server.ts';
import { type Chunk, chunkDigest, chunkEnd, oneDigest, roughRows, rowDigests } from './digest.ts';
import { keyCondition, keyText, plainRow, readRows, readShape, type StoredRow, type TableShape } from './shape.ts';

const reachTimeoutMs = 5000;
const roundsMax = 5;
/** Of one chunk; a table that differs everywhere needs no longer list. */
const namedMax = 50;
const keylessRowsMax = 100_000;

export type Sessions = Both<Session>;

export interface TableFindings {
  readonly rows: number;
  readonly problems: readonly RowProblem[];
  readonly remarks: readonly string[];
}

/** A row that differs, with what is needed to put it right. */
export interface RowProblem {
  readonly problem: Problem;
  readonly shape: TableShape | null;
  readonly key: StoredRow | null;
}

export interface CompareContext {
  readonly servers: Both<PairServer>;
  readonly sessions: Sessions;
  /** When to stop; monotonic. */
  readonly untilMs: number;
  readonly signal: AbortSignal;
}

/** Where a table was left, and what was found until then. */
export interface TableProgress extends TableFindings {
  /** Null: the table has been compared to its end. */
  readonly next: { readonly from: StoredRow } | null;
}

/**
 * Compares one table on both servers, from a place on, chunk by chunk, until its end or until the time is over. Both may be written to:
 * what differs is looked at again after each server has reached the other's position.
 *
 * @throws EngineError when a server does not answer.
 */
export async function compareTable(
  context: CompareContext,
  name: { readonly schema: string; readonly table: string },
  from: StoredRow | null,
): Promise<TableProgress> {
  const { sessions } = context;
  const [n1, n2] = [
    await readShape(sessions.n1, name.schema, name.table),
    await readShape(sessions.n2, name.schema, name.table),
  ];
  const full = `${name.schema}.${name.table}`;
  if (n1 === null || n2 === null) return finished(await tableMissing(context, name, full));
  if (JSON.stringify(n1.columns) !== JSON.stringify(n2.columns)) {
    return finished([tableProblem(full, `The columns of ${full} are not the same on both servers.`)]);
  }
  if (n1.primary.length === 0) return compareKeyless(context, n1, full);
  return compareChunks(context, n1, from);
}

function finished(problems: readonly RowProblem[], rows = 0, remarks: readonly string[] = []): TableProgress {
  return { rows, problems, remarks, next: null };
}

/** A table may be on its way. */
async function tableMissing(
  context: CompareContext,
  { schema, table }: { readonly schema: string; readonly table: string },
  full: string,
): Promise<readonly RowProblem[]> {
  if (!(await bothReached(context))) return [];
  const { sessions } = context;
  const [n1, n2] = [await readShape(sessions.n1, schema, table), await readShape(sessions.n2, schema, table)];
  if ((n1 === null) === (n2 === null)) return [];
  return [tableProblem(full, `The table ${full} is on ${n1 === null ? 'n2' : 'n1'} only.`)];
}

function tableProblem(full: string, text: string): RowProblem {
  const problem = {
    id: `table:${full}`,
    kind: 'table',
    text,
    table: full,
    key: null,
    rows: [],
    artifact: null,
  } as const;
  return { problem: { ...problem, rows: [] }, shape: null, key: null };
}

/** Rows of such a table have no names, so it is compared as a whole. */
async function compareKeyless(context: CompareContext, shape: TableShape, full: string): Promise<TableProgress> {
  const { sessions } = context;
  const remark = `${full} has no primary key: it is compared as a whole, and its rows cannot be named.`;
  if ((await roughRows(sessions.n1, shape)) > keylessRowsMax) {
    return finished([], 0, [`${full} has no primary key and is too large: it is not compared.`]);
  }
  const whole: Chunk = { from: null, to: null };
  for (let round = 0; ; round += 1) {
    const [n1, n2] = [await chunkDigest(sessions.n1, shape, whole), await chunkDigest(sessions.n2, shape, whole)];
    if (n1.digest === n2.digest && n1.rows === n2.rows) return finished([], n1.rows, [remark]);
    const isLast = round + 1 === roundsMax || !(await bothReached(context));
    if (isLast)
      return finished(
        [tableProblem(full, `${full} (no primary key) differs: ${n1.rows} rows on n1, ${n2.rows} on n2.`)],
        n1.rows,
        [remark],
      );
  }
}

async function compareChunks(
  context: CompareContext,
  shape: TableShape,
  start: StoredRow | null,
): Promise<TableProgress> {
  const { sessions } = context;
  const problems: RowProblem[] = [];
  const remarks = new Set<string>();
  let rows = 0;
  for (let from = start; ; ) {
    const to = await chunkEnd(sessions.n1, shape, from);
    const [n1, n2] = await Promise.all([
      chunkDigest(sessions.n1, shape, { from, to }),
      chunkDigest(sessions.n2, shape, { from, to }),
    ]);
    rows += n1.rows;
    if (n1.digest !== n2.digest || n1.rows !== n2.rows) {
      const found = await differingRows(context, shape, { from, to });
      problems.push(...found.problems);
      for (const remark of found.remarks) remarks.add(remark);
    }
    if (to === null) return finished(problems, rows, [...remarks]);
    if (monotonicMs() >= context.untilMs || context.signal.aborted)
      return { rows, problems, remarks: [...remarks], next: { from: to } };
    from = to;
  }
}

async function differingRows(
  context: CompareContext,
  shape: TableShape,
  chunk: Chunk,
): Promise<Pick<TableFindings, 'problems' | 'remarks'>> {
  const { sessions } = context;
  const [n1, n2] = await Promise.all([rowDigests(sessions.n1, shape, chunk), rowDigests(sessions.n2, shape, chunk)]);
  let suspects = differing(n1.digests, n2.digests).slice(0, namedMax);
  const proven: StoredRow[] = [];
  for (let round = 0; round < roundsMax && suspects.length > 0; round += 1) {
    if (!(await bothReached(context))) {
      const text = `Rows of ${shape.schema}.${shape.table} are not the same now; whether they will be cannot be said while replication is stopped or far behind.`;
      return { problems: [], remarks: [text] };
    }
    const moving: (typeof suspects)[number][] = [];
    for (const suspect of suspects) {
      const key = n1.keys.get(suspect.key) ?? n2.keys.get(suspect.key);
      if (key === undefined) continue;
      const second = { n1: await oneDigest(sessions.n1, shape, key), n2: await oneDigest(sessions.n2, shape, key) };
      const verdict = judge({ first: suspect, second });
      if (verdict === 'differs') proven.push(key);
      if (verdict === 'moving') moving.push({ key: suspect.key, ...second });
    }
    suspects = moving;
  }
  const problems: RowProblem[] = [];
  for (const key of proven) problems.push(await rowProblem(sessions, shape, key));
  return { problems, remarks: [] };
}

/** Whether each server has executed what the other had when this was called, within a few seconds. */
export async function bothReached({ servers, signal }: Pick<CompareContext, 'servers' | 'signal'>): Promise<boolean> {
  const goals = { n1: await executedBy(servers.n2), n2: await executedBy(servers.n1) };
  const timing = { timeoutMs: reachTimeoutMs, signal };
  const results = await Promise.all([
    waitForExecuted(servers.n1, goals.n1, timing),
    waitForExecuted(servers.n2, goals.n2, timing),
  ]);
  return results.every((result) => result === 'reached');
}

/** A row that is not the same on both, with what each has. */
export async function rowProblem(sessions: Sessions, shape: TableShape, key: StoredRow): Promise<RowProblem> {
  const full = `${shape.schema}.${shape.table}`;
  const rowOf = async (session: Session) => plainRow((await readRows(session, shape, keyCondition(shape, key), 1))[0]);
  const rows = [
    { side: 'n1' as const, what: 'has', row: await rowOf(sessions.n1) },
    { side: 'n2' as const, what: 'has', row: await rowOf(sessions.n2) },
  ];
  const name = keyText(shape, key);
  const primary = shape.primary.map((column) => column.name).join(', ');
  const text = `The row of ${full} with ${primary} = ${name} is not the same on both servers, and nothing that would change that is on its way.`;
  const problem: Problem = {
    id: `row:${full}:${name}`,
    kind: 'row',
    text,
    table: full,
    key: 'PRIMARY',
    rows,
    artifact: null,
  };
  return { problem, shape, key };
}
