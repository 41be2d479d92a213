import type { EngineCommand } from '@understudy/core';

export type CommandKind = EngineCommand['kind'];

/** Jobs that only write what the server would write by itself sooner or later. Commands need not wait for them. */
export const harmless: ReadonlySet<CommandKind> = new Set(['provision', 'checkpoint']);

/** Commands that are no job: they are carried out while the agent waits. A promotion becomes a job when it takes long. */
const short: ReadonlySet<CommandKind> = new Set(['seal', 'follow', 'set-ack-rule', 'promote']);

/**
 * What becomes of a command while a job is under way. `same`: the job is what is asked for. `beside`: both go on. `cancels`: the job is
 * broken off, and waited for. `abandons`: as `cancels`, and nobody waits for it. `refused`: the command has to wait for the job.
 */
export type Precedence = 'same' | 'beside' | 'cancels' | 'abandons' | 'refused';

/**
 * A stop breaks off what would otherwise keep the server running: a start, and what only writes. Whatever replaces data, opens or stops a
 * server is never broken off by a command, but by a fence, which waits for nothing and is not asked about here.
 */
export function precedence(command: CommandKind, job: CommandKind): Precedence {
  // An opening is no command that can be given twice: the next one may be for another history.
  if (command === job) return command === 'promote' ? 'refused' : 'same';
  if (harmless.has(job) && short.has(command)) return 'beside';
  // A checkpoint takes minutes where there is much to write, and the users of a new leader wait for replicas that may be gone.
  if (harmless.has(job) && (command === 'stop' || command === 'restart')) return 'abandons';
  if (job === 'start' && command === 'stop') return 'cancels';
  return 'refused';
}
