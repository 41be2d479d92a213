import { dirname } from 'node:path';
import type { EngineState } from '@understudy/core';
import { EngineError } from '../../index.ts';
import { freeBytes } from '../files.ts';

/** Why no server is started on this disk. @param disk what an engine found there; it is not usable. */
export function notStartable(dataDir: string, disk: { readonly kind: string; readonly problem?: string }): EngineError {
  const problem =
    disk.kind === 'refused'
      ? disk.problem
      : disk.kind === 'absent'
        ? `There is no data directory ${dataDir} yet. It must be made or copied first.`
        : `The data directory ${dataDir} is an unfinished copy and must be made anew.`;
  return new EngineError('ENGINE_DATA_REFUSED', problem ?? 'The data directory cannot be used.');
}

/** A server has not stopped within its deadline. @param by what keeps such a server waiting most often. */
export function stoppedTooLate(timeoutMs: number, by: string, logFile: string): EngineError {
  const text = `The server has not stopped within ${timeoutMs} ms; probably ${by} keeps it waiting.`;
  return new EngineError('ENGINE_STOP_TIMEOUT', `${text} Its log (${logFile}) may say which.`);
}

/** @throws EngineError `ENGINE_BUSY` for the state of a server that is, or was, a primary: its data may be the only copy. */
export function refuseToReplacePrimary(state: EngineState): void {
  if (state.kind !== 'primary' && (state.kind !== 'unresponsive' || state.was !== 'primary')) return;
  throw new EngineError('ENGINE_BUSY', 'The server is a primary; its data is not replaced while it runs.');
}

/** @throws EngineError `ENGINE_DISK_FULL` when a copy of that size has no place beside `dataDir`. */
export async function requireRoom(dataDir: string, neededBytes: number): Promise<void> {
  const folder = dirname(dataDir);
  const free = await freeBytes(folder);
  if (free > neededBytes) return;
  const text = `The copy needs ${neededBytes} bytes beside the present data, and the disk of ${folder} has ${free} left.`;
  const next = 'Make room there: `understudy aside list` shows what is kept of replaced data.';
  throw new EngineError('ENGINE_DISK_FULL', text, { next });
}
