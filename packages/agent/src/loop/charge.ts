/** What the guard is told to enforce, from a decision. */

import type { Authority, EngineState, Ms } from '@understudy/core';
import { isSameProcess, type ProcessName } from '../guard/proc.ts';
import type { Charge } from '../guard/protocol.ts';

/**
 * A primary has a deadline, always: the one that was decided or, while nothing is decided for it, the one it had before; one that
 * never had any gets one lease from now, unless the guard knows an earlier end from another agent. A replica has none.
 */
export function chargeFor(
  engine: EngineState,
  authority: Authority,
  server: ProcessName | null,
  previous: Charge,
  now: Ms,
  leaseTtlMs: number,
): Charge {
  const isSilent = engine.kind === 'unresponsive';
  if (engine.kind === 'starting' || (isSilent && engine.was === 'unknown')) {
    // It may be the primary of an earlier agent, which an end was set for.
    return {
      server,
      untilMs: isSameProcess(server, previous.server) ? previous.untilMs : null,
      certainty: 'undecided',
    };
  }
  const mayWrite = engine.kind === 'primary' || (isSilent && engine.was === 'primary');
  if (server === null || !mayWrite) return { server, untilMs: null, certainty: 'decided' };
  if (authority.kind === 'primary') return { server, untilMs: authority.until, certainty: 'decided' };
  return { server, untilMs: previous.untilMs ?? now + leaseTtlMs, certainty: 'undecided' };
}
