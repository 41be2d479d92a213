import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monotonicMs } from '@understudy/base';
import { removeTree } from '@understudy/engine/host';
import { spread } from '../check/summary.ts';
import type { Session } from '../database/session.ts';
import { DrillError } from '../errors.ts';
import { type BareEngine, type BarePair, ownFolder, readyMs } from './bare.ts';
import { bareMysql } from './mysql-pair.ts';
import { barePostgres } from './postgres-pair.ts';

/**
 * What a failover costs on this machine when nothing has to be found out or agreed on: `kill -9` of a bare primary, promotion by one
 * statement at the same moment, the first write over a connection that was open before. Every outage is given as a multiple of it.
 */
export interface Floor {
  readonly runs: number;
  readonly minMs: number;
  readonly p50Ms: number;
  readonly maxMs: number;
}

export interface FloorOptions {
  readonly engine: 'postgres' | 'mysql' | 'mariadb';
  readonly version?: string;
  readonly binDir?: string;
  readonly runs: number;
}

const statements = {
  postgres: 'insert into rows default values',
  mysql: 'insert into bare.rows () values ()',
  mariadb: 'insert into bare.rows () values ()',
} as const;

/**
 * Measures the floor of an engine on this machine, with servers of its own, which are ended and removed.
 *
 * @throws DrillError `SETUP_FAILED`, `INTERRUPTED`
 */
export async function measureFloor(
  options: FloorOptions,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<Floor> {
  const own = await mkdtemp(join(tmpdir(), 'us-floor-'));
  try {
    // The servers' user passes through to its own.
    await chmod(own, 0o711);
    const folder = join(own, 's');
    await ownFolder(folder);
    const engine = await engineOf(options, signal);
    say('measuring the floor of this machine: preparing two bare servers');
    await engine.prepare(folder);
    const times: number[] = [];
    for (let run = 1; run <= options.runs; run += 1) {
      say(`measuring the floor of this machine: ${run}/${options.runs}`);
      times.push(await once(engine, folder, statements[options.engine]));
    }
    const { min, p50, max } = spread(times);
    return { runs: times.length, minMs: min, p50Ms: p50, maxMs: max };
  } finally {
    await removeTree(own);
  }
}

function engineOf({ engine, version, binDir }: FloorOptions, signal: AbortSignal): Promise<BareEngine> {
  const options = { ...(version === undefined ? {} : { version }), ...(binDir === undefined ? {} : { binDir }) };
  return engine === 'postgres' ? barePostgres(options, signal) : bareMysql(engine, options, signal);
}

async function once(engine: BareEngine, folder: string, statement: string): Promise<number> {
  const pair = await engine.open(folder);
  try {
    return await failover(pair, statement);
  } finally {
    await pair.close();
  }
}

async function failover(pair: BarePair, statement: string): Promise<number> {
  const fromMs = monotonicMs();
  pair.kill();
  const [writtenMs] = await Promise.all([firstWrite(pair.writer, statement, fromMs), pair.promote()]);
  return writtenMs - fromMs;
}

/** Tries again at once: a refusal costs one round trip. */
async function firstWrite(writer: Session, statement: string, fromMs: number): Promise<number> {
  while (monotonicMs() - fromMs < readyMs) {
    const answer = await writer.run({ text: statement }, readyMs);
    if (answer.kind === 'rows') return monotonicMs();
    if (!writer.isOpen) break;
  }
  throw new DrillError('SETUP_FAILED', 'The floor cannot be measured: the promoted server took no write.');
}
