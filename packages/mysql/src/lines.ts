import { EngineError } from '@understudy/engine';
import type { Dialect } from './dialect/dialect.ts';
import { type LineStep, markerSequence } from './gtid/mariadb.ts';
import { schemaName } from './names.ts';
import type { Session } from './sql/session.ts';

const statementTimeoutMs = 4000;
/** A full disk, or a lock on all tables, keeps a small transaction waiting. */
const markerTimeoutMs = 5000;

/**
 * `lines`: one row for each timeline of this history (see `docs/adr/0010`): its number (the column is `lineage`), the cluster, and the sequence number of the last
 * transaction before its marker (only where numbers are by domain). `barrier`: a row to write to, for transactions of our own.
 */
const tables = [
  `CREATE DATABASE IF NOT EXISTS ${schemaName}`,
  `CREATE TABLE IF NOT EXISTS ${schemaName}.\`lines\` (lineage INT UNSIGNED NOT NULL PRIMARY KEY, cluster CHAR(36) NOT NULL,
    previous BIGINT UNSIGNED NULL) ENGINE = InnoDB CHARACTER SET ascii`,
  `CREATE TABLE IF NOT EXISTS ${schemaName}.barrier (id INT UNSIGNED NOT NULL PRIMARY KEY, number BIGINT UNSIGNED NOT NULL) ENGINE = InnoDB`,
];

/** Whether the tables of `understudy` are there. */
export async function hasLines(session: Session): Promise<boolean> {
  const found = await session.query(
    'SELECT 1 AS found FROM information_schema.tables WHERE table_schema = ? AND table_name IN (?, ?)',
    [schemaName, 'lines', 'barrier'],
    statementTimeoutMs,
  );
  return found.length === 2;
}

/** Makes the tables of `understudy` where they are missing. */
export async function makeLines(session: Session, deadlineMs = statementTimeoutMs): Promise<void> {
  if (await hasLines(session)) return;
  for (const statement of tables) await session.query(statement, [], deadlineMs);
}

/** Writes the row of a line that was opened without one (its marker was an empty transaction). Waits for acknowledgements like every commit. */
export async function noteLine(session: Session, timeline: number, cluster: string, deadlineMs: number): Promise<void> {
  const there = await session.query(
    `SELECT 1 AS found FROM ${schemaName}.\`lines\` WHERE lineage = ?`,
    [timeline],
    statementTimeoutMs,
  );
  if (there.length > 0) return;
  await session.query(
    `INSERT INTO ${schemaName}.\`lines\` (lineage, cluster, previous) VALUES (?, ?, NULL)`,
    [timeline, cluster],
    deadlineMs,
  );
}

/** Writes a small transaction of our own. */
export async function writeBarrier(session: Session, deadlineMs: number): Promise<void> {
  await session.query(
    `INSERT INTO ${schemaName}.barrier (id, number) VALUES (1, 1) ON DUPLICATE KEY UPDATE number = number + 1`,
    [],
    deadlineMs,
  );
}

/** What a marker says. */
export interface Marker {
  readonly timeline: number;
  /** The cluster's id, a UUID. */
  readonly cluster: string;
  /** Sequence number of the newest transaction before it, where there are such numbers. */
  readonly previous: bigint | null;
}

/**
 * Begins a line of history on a server that is still closed: one transaction, whose number says the line. The session is spoilt for other
 * work when this fails, and must be ended.
 */
export async function writeMarker(session: Session, dialect: Dialect, marker: Marker): Promise<void> {
  if (dialect.gtids === 'sets') await writeEmptyMarker(session, marker);
  else await writeRowMarker(session, marker);
}

/** An empty transaction, which read-only does not forbid: its number alone says everything. */
async function writeEmptyMarker(session: Session, { timeline, cluster }: Marker): Promise<void> {
  await session.query(`SET GTID_NEXT = '${cluster}:${timeline}'`, [], statementTimeoutMs);
  await session.query('BEGIN', [], statementTimeoutMs);
  await session.query('COMMIT', [], markerTimeoutMs);
  await session.query("SET GTID_NEXT = 'AUTOMATIC'", [], statementTimeoutMs);
}

/** The tables are made without the log: every other member is a copy, and gets them with it. */
async function writeRowMarker(session: Session, { timeline, cluster, previous }: Marker): Promise<void> {
  await session.query('SET SESSION sql_log_bin = 0', [], statementTimeoutMs);
  await makeLines(session, markerTimeoutMs);
  await session.query('SET SESSION sql_log_bin = 1', [], statementTimeoutMs);
  await session.query(`SET SESSION gtid_seq_no = ${markerSequence(timeline)}`, [], statementTimeoutMs);
  await session.query(
    `INSERT INTO ${schemaName}.\`lines\` (lineage, cluster, previous) VALUES (?, ?, ?)`,
    [timeline, cluster, previous],
    markerTimeoutMs,
  );
}

/** Remembers the rows of `understudy.lines`: a line's row never changes, and they are read again only for one that is not known. */
export class LineBook {
  readonly #steps = new Map<number, LineStep>();

  /** The steps that lead to `timeline`, as far as this server has applied them. */
  async upTo(session: Session, timeline: number): Promise<ReadonlyMap<number, LineStep>> {
    if (!this.#steps.has(timeline)) await this.#read(session);
    return this.#steps;
  }

  /** Forgets everything: another database may be in place. */
  forget(): void {
    this.#steps.clear();
  }

  async #read(session: Session): Promise<void> {
    if (!(await hasLines(session))) return;
    const rows = await session.query(
      `SELECT lineage AS timeline, previous AS previous FROM ${schemaName}.\`lines\``,
      [],
      statementTimeoutMs,
    );
    for (const { timeline, previous } of rows) {
      if (timeline === null || timeline === undefined) continue;
      this.#steps.set(Number(timeline), {
        timeline: Number(timeline),
        previous: previous === null || previous === undefined ? null : BigInt(previous),
      });
    }
  }
}

/** Refuses a line that nobody may open any more. */
export function requireNewLine(timelines: readonly number[], wanted: number): void {
  const newest = timelines.at(-1) ?? 0;
  if (wanted > newest) return;
  const text = `The promotion did not happen: line ${wanted} was asked for, but this history is on line ${newest} already.`;
  throw new EngineError('ENGINE_PROMOTE_FAILED', text, { retry: 'unsafe' });
}
