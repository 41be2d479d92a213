import { stat } from 'node:fs/promises';
import type { Position } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import { newestBinlog } from '../disk/binlog-files.ts';
import { encodeEnd, readIdentity, writeIdentity } from '../disk/identity.ts';
import type { Instance } from '../instance.ts';
import { monotonicMs } from '../waiting.ts';
import { handOver } from './handover.ts';

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
  facts.life = 'ending';
  const end = await handOver(instance, mode).catch((error: unknown) => {
    facts.life = 'serving';
    // A server that does not answer is stopped all the same; its end is not known then.
    if (mode === 'orderly') return null;
    throw error;
  });
  facts.life = 'ending';
  await instance.sql.close();
  instance.process.terminate();
  if ((await instance.process.waitForExit(Math.max(100, endMs - monotonicMs()))) === 'running') {
    facts.life = 'serving';
    if (mode === 'handover') throw tooLate(instance);
    await instance.process.kill();
    return;
  }
  await noteEnd(instance, end);
}

/** Writes where the run ended, if it ended in order: the server removes its file with the process id last of all. */
async function noteEnd({ options, paths, owner }: Instance, end: Position | null): Promise<void> {
  const identity = await readIdentity(options.dataDir);
  const crashed = await stat(paths.pidFile).catch(() => null);
  if (identity === null || end === null || crashed !== null) return;
  const log = await newestBinlog(options.dataDir);
  await writeIdentity(options.dataDir, { ...identity, end: encodeEnd(end, log) }, owner);
}

/**
 * Stops the server before its data is replaced.
 *
 * @throws EngineError `ENGINE_BUSY` when it is a primary: its data may be the only copy.
 */
export async function stopReplica(instance: Instance): Promise<void> {
  if (instance.process.running === null) return;
  const state = await instance.observe();
  if (state.kind === 'primary' || (state.kind === 'unresponsive' && state.was === 'primary')) {
    throw new EngineError('ENGINE_BUSY', 'The server is a primary; its data is not replaced while it runs.', 'safe');
  }
  await stopInOrder(instance, 'orderly');
}

function tooLate(instance: Instance): EngineError {
  const text = `The server has not stopped within ${instance.options.stopTimeoutMs} ms; probably a client or a disk keeps it waiting.`;
  return new EngineError('ENGINE_STOP_TIMEOUT', `${text} Its log (${instance.paths.log}) may say which.`, 'safe');
}
