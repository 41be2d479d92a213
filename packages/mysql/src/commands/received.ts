import { pollUntil } from '@understudy/base';
import { EngineError } from '@understudy/engine';
import { mariadbParallelMode } from '../config/settings.ts';
import type { Dialect } from '../dialect/dialect.ts';
import { type Channel, readChannel } from '../observe/channel.ts';
import type { Session } from '../sql/session.ts';
import { adjustStatement } from './channel-statements.ts';

const queryTimeoutMs = 4000;
/** Words of an applier that waits for more. */
const hasReadAll = /has read all relay log/i;

/** How long to wait for the applier, where that is needed. */
export interface Patience {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Lets a running server go on applying what it has received, and never lets it throw a relay log away. Idempotent. (What a crash left
 * is applied before, by `commands/settle.ts`.)
 *
 * MySQL keeps its relay log, and only needs its applier started. MariaDB deletes the relay log when one of the two threads is started in
 * GTID mode while both are stopped (MDEV-4698; tried, and also when only the applier is started): what a replica had acknowledged would
 * be gone. So the rest is applied by file position first, which deletes nothing, and GTID mode comes after that.
 *
 * @returns `working` when the patience ended first; the applier goes on, and the next call takes it up.
 * @throws EngineError `ENGINE_INTERNAL` when the applier stops with an error; the message has it.
 */
export async function keepApplying(
  session: Session,
  dialect: Dialect,
  patience: Patience = { timeoutMs: 500 },
): Promise<'settled' | 'working'> {
  const channel = await readChannel(session, dialect, queryTimeoutMs);
  if (channel === null || (channel.applier === 'running' && channel.usesGtids === 'yes')) return 'settled';
  const startApplier = `START ${dialect.replica} SQL_THREAD`;
  if (dialect.gtids === 'sets' || channel.receiver !== 'stopped') {
    await session.query(startApplier, [], queryTimeoutMs);
    return 'settled';
  }
  if (channel.relay.file !== '' && (await applyByFile(session, dialect, channel, patience)) === 'working')
    return 'working';
  await session.query(`SET GLOBAL slave_parallel_mode = '${mariadbParallelMode}'`, [], queryTimeoutMs);
  await session.query(adjustStatement(dialect, 'MASTER_USE_GTID = slave_pos'), [], queryTimeoutMs);
  await session.query(startApplier, [], queryTimeoutMs);
  return 'settled';
}

async function applyByFile(
  session: Session,
  dialect: Dialect,
  { relay, applier }: Channel,
  patience: Patience,
): Promise<'applied' | 'working'> {
  if (applier === 'stopped') {
    // With several workers, "all read" would not mean "all applied", and a stop drops what still waits for one of them.
    await session.query("SET GLOBAL slave_parallel_mode = 'none'", [], queryTimeoutMs);
    const place = `RELAY_LOG_FILE = '${relay.file}', RELAY_LOG_POS = ${Number(relay.pos)}`;
    await session.query(adjustStatement(dialect, `MASTER_USE_GTID = no, ${place}`), [], queryTimeoutMs);
    await session.query(`START ${dialect.replica} SQL_THREAD`, [], queryTimeoutMs);
  }
  const applied = await pollUntil(
    async () => {
      const channel = await readChannel(session, dialect, queryTimeoutMs);
      if (channel === null) return true;
      requireApplier(channel);
      return hasReadAll.test(channel.applierState) ? true : null;
    },
    { everyMs: 10, ...patience },
  );
  if (applied === null) return 'working';
  await session.query(`STOP ${dialect.replica} SQL_THREAD`, [], queryTimeoutMs);
  return 'applied';
}

/** @throws EngineError `ENGINE_INTERNAL` when the applier has stopped. */
export function requireApplier({ applier, applierError }: Channel): void {
  if (applier === 'running') return;
  const cause = applierError === null ? 'no error is given' : `error ${applierError.number}: ${applierError.text}`;
  const text = `What was received cannot be applied: the applier has stopped (${cause}).`;
  throw new EngineError('ENGINE_INTERNAL', text, {
    retry: 'safe',
    next: 'Remove the cause, or make a new copy of this member.',
  });
}

/**
 * Waits until everything received is applied.
 *
 * @returns `late` when the deadline passed first.
 */
export async function drained(
  session: Session,
  dialect: Dialect,
  isDone: () => Promise<boolean>,
  timing: Patience,
): Promise<'drained' | 'late'> {
  const done = await pollUntil(
    async () => {
      if (await isDone()) return true;
      const channel = await readChannel(session, dialect, queryTimeoutMs);
      if (channel !== null) requireApplier(channel);
      return null;
    },
    { everyMs: 5, ...timing },
  );
  return done === null ? 'late' : 'drained';
}
