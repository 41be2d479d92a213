import { monotonicMs } from '@understudy/base';
import { type Position, relation } from '@understudy/core';
import { readIfThere, refuseToReplacePrimary, stoppedTooLate } from '@understudy/engine/host';
import { newestBinlog } from '../disk/binlog-files.ts';
import { changeIdentity, encodeEnd } from '../disk/identity.ts';
import type { Instance } from '../instance.ts';
import { readPosition } from '../observe/position.ts';
import { cutClients, handOver } from './handover.ts';

const flushTimeoutMs = 1000;

/** Ends the server at once, with everything that it has not yet sent: none of that was acknowledged. */
export async function fence(instance: Instance): Promise<void> {
  instance.sql.cut();
  await instance.process.kill();
}

/**
 * Stops the server in order, and notes its exact end. `handover`: every connected member receives the log to its very end first.
 *
 * @throws EngineError `ENGINE_STOP_TIMEOUT`: after `handover` the server may still be stopping, and the caller decides.
 */
export async function stopInOrder(instance: Instance, mode: 'handover' | 'orderly'): Promise<void> {
  const running = instance.process.running;
  if (running === null) return;
  const facts = instance.facts.of(running.pid);
  const endMs = monotonicMs() + instance.options.stopTimeoutMs;
  const isStarting = running.origin === 'started' && facts.answered === 'never';
  const mayLead = facts.role !== 'replica' && !isStarting;
  facts.life = 'ending';
  const end = await handOver(instance, mode).catch((error: unknown) => {
    facts.life = 'serving';
    // A server that does not answer is stopped all the same; its end is not known then.
    if (mode === 'orderly') return null;
    throw error;
  });
  facts.life = 'ending';
  const still =
    mode === 'handover' && end !== null && (await isFlushed(instance)) ? await seenStill(instance, end) : null;
  if (still !== null) {
    // Noted first: whoever sees the server gone sees its end too. Nothing is written any more, which the size of the log proves.
    await noteEnd(instance, still);
    return fence(instance);
  }
  // It could not be closed: commits wait, and a shutdown may answer them with success.
  if (end === null && mayLead) return fence(instance);
  if (mode === 'handover') await instance.sql.fresh(flushTimeoutMs, cutClients).catch(() => undefined);
  const last = end === null ? null : await seenStill(instance, end);
  await instance.sql.close();
  instance.process.terminate('SIGTERM');
  if ((await instance.process.waitForExit(Math.max(100, endMs - monotonicMs()))) === 'running') {
    facts.life = 'serving';
    if (mode === 'handover')
      throw stoppedTooLate(instance.options.stopTimeoutMs, 'a client or a disk', instance.paths.log);
    await instance.process.kill();
    return;
  }
  // The server removes this file last of all.
  if (last === null || (await readIfThere(instance.paths.pidFile)) !== null) return;
  const log = await newestBinlog(instance.options.dataDir);
  const isLast = instance.dialect.close.stops === 'everybody' || (log !== null && endsWith(log, last.log));
  if (isLast) await noteEnd(instance, { ...last, log });
}

/**
 * Whether a closed server has nothing left that only an ordered shutdown would write: its log and InnoDB are durable with every commit,
 * other tables after this. Then it need not be waited for while everybody waits for the next leader: MySQL 9.7 takes 2.9 s to shut down,
 * two of them asleep.
 */
async function isFlushed({ sql }: Instance): Promise<boolean> {
  return sql
    .fresh(flushTimeoutMs, (session) => session.query('flush no_write_to_binlog tables', [], flushTimeoutMs))
    .then(
      () => true,
      () => false,
    );
}

type Log = { readonly name: string; readonly sizeBytes: number } | null;

/** An end, and the log as it was before it was read. */
interface StillEnd {
  readonly end: Position;
  readonly log: Log;
}

/**
 * Reads again what a closed server holds: where privileged sessions can write all the same, one may have done so since. The log is looked
 * at first, so that what is written after this shows in its size.
 *
 * @returns null when it moved, or does not answer: then the end of this run is not known.
 */
async function seenStill(instance: Instance, end: Position): Promise<StillEnd | null> {
  const log = await newestBinlog(instance.options.dataDir);
  const { position } = await instance.sql
    .fresh(flushTimeoutMs, (session) => readPosition(instance, session))
    .catch(() => ({ position: null }));
  return position !== null && relation(position, end) === 'equal' ? { end, log } : null;
}

/** A shutdown writes one event of this size at most; the smallest transaction is longer. */
const stopEventBytes = 32;

/** Whether a log that has ended has no more than the end of the shutdown behind what was seen. */
const endsWith = (log: NonNullable<Log>, seen: Log): boolean =>
  seen !== null && seen.name === log.name && log.sizeBytes - seen.sizeBytes <= stopEventBytes;

/** Writes where the run ended. */
async function noteEnd({ options, owner }: Instance, { end, log }: StillEnd): Promise<void> {
  await changeIdentity(options.dataDir, owner, (identity) => ({ ...identity, end: encodeEnd(end, log) }));
}

/**
 * Stops the server before its data is replaced.
 *
 * @throws EngineError `ENGINE_BUSY` when it is a primary: its data may be the only copy.
 */
export async function stopReplica(instance: Instance): Promise<void> {
  if (instance.process.running === null) return;
  refuseToReplacePrimary(await instance.observe());
  await stopInOrder(instance, 'orderly');
}
