/** What the guard is told to enforce, from a decision. */

import type { Authority, EngineState, Ms } from '@understudy/core';
import type { Charge } from '../guard/client.ts';
import type { ProcessName } from '../guard/proc.ts';

/**
 * A primary has a deadline, always: the one that was decided or, while nothing is decided for it, the one it had before; one that
 * never had any gets one lease from now. A replica has none.
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
  if (isSilent && engine.was === 'unknown') return { server, untilMs: server === null ? null : previous.untilMs };
  const mayWrite = engine.kind === 'primary' || (isSilent && engine.was === 'primary');
  if (server === null || !mayWrite) return { server, untilMs: null };
  if (authority.kind === 'primary') return { server, untilMs: authority.until };
  return { server, untilMs: previous.untilMs ?? now + leaseTtlMs };
}
