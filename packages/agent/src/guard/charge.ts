/** Which of two charges is in force: the one that the guard holds, or the one that it is told. Pure. */

import { isSameProcess } from './proc.ts';
import type { Charge } from './protocol.ts';

/**
 * A decided charge replaces whatever was held. An undecided one, as of an agent that has just been started beside a running primary,
 * must not give that primary more time than the agent before it had decided: nobody knows yet whether it still leads.
 */
export function inForce(held: Charge, told: Charge): Charge {
  if (told.certainty === 'decided' || held.server === null || held.untilMs === null) return told;
  if (told.server !== null && !isSameProcess(told.server, held.server)) return told;
  return { ...told, server: held.server, untilMs: Math.min(held.untilMs, told.untilMs ?? held.untilMs) };
}
