import type { Member } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import type { Progress } from '../clone/clone.ts';
import type { Instance } from '../instance.ts';

/** Whether a `pg_rewind` of the server's own major version was given. */
export function canRewind(instance: Instance): 'yes' | 'no' {
  return instance.options.binaries.pgRewind === undefined ? 'no' : 'yes';
}

export async function rewind(
  _instance: Instance,
  from: Member,
  _progress: Progress,
  _signal: AbortSignal,
): Promise<void> {
  throw new EngineError('ENGINE_REWIND_FAILED', `No pg_rewind; copy from ${from.id} instead.`, 'unsafe');
}
