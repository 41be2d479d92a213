/** When a silent agent counts as frozen, so that its guard replaces it. */

export interface AgentSigns {
  /** Time since the agent's last heartbeat, without the time in which the guard itself did not run. */
  readonly silentMs: number;
  /** The scheduler's letter for the agent's process (`man 5 proc`); null when it is gone. */
  readonly state: string | null;
}

export type AgentVerdict =
  | { readonly kind: 'well'; readonly lookAgainInMs: number }
  | { readonly kind: 'dead' }
  | { readonly kind: 'frozen'; readonly why: string };

/** Stopped by a signal or a debugger, and silent for this long. */
export const STOPPED_MS = 1_200;
/** Asleep without a heartbeat: its event loop is stuck. */
export const STUCK_MS = 3_000;
/** Computing or waiting for a disk: it gets longer, because starting a new one on a starved machine helps nobody. */
export const BUSY_MS = 8_000;
/** Above the shortest limit the state decides, and may change at any moment. */
const LOOK_AGAIN_MS = 250;
/** When the guard's own timers fire later than this, the machine is starved, and silence proves nothing. */
const LATE_MS = 200;

export function judgeAgent({ silentMs, state }: AgentSigns): AgentVerdict {
  if (state === null) return { kind: 'dead' };
  const limitMs = limitFor(state);
  if (silentMs >= limitMs) {
    return { kind: 'frozen', why: `no beat for ${Math.round(silentMs)} ms, process state ${state}` };
  }
  // Below the shortest limit nothing can change the verdict.
  const lookAgainInMs = silentMs < STOPPED_MS ? STOPPED_MS - silentMs : Math.min(LOOK_AGAIN_MS, limitMs - silentMs);
  return { kind: 'well', lookAgainInMs };
}

function limitFor(state: string): number {
  if (state === 'T' || state === 't') return STOPPED_MS;
  return state === 'R' || state === 'D' ? BUSY_MS : STUCK_MS;
}

/** Whether a guard whose timer fired `lateMs` late was itself kept from running, so that it judges nobody now. */
export const wasStarved = (lateMs: number): boolean => lateMs > LATE_MS;

/** The time of the last heartbeat as a guard counts it that did not run for `lateMs`: what was not said meanwhile is no sign. */
export function excuseLateness(lastBeatMs: number, lateMs: number, nowMs: number): number {
  return wasStarved(lateMs) ? Math.min(nowMs, lastBeatMs + lateMs) : lastBeatMs;
}
