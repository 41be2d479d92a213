/** When a silent agent is taken for frozen. Pure: the guard asks it, the tests too. */

export interface AgentSigns {
  /** Time since the agent's last beat, without the time that the guard itself was late. */
  readonly silentMs: number;
  /** The scheduler's letter for the agent's process; null when it is gone. */
  readonly state: string | null;
}

export type Judgement =
  | { readonly kind: 'well'; readonly lookAgainInMs: number }
  | { readonly kind: 'dead' }
  | { readonly kind: 'frozen'; readonly why: string };

/** Stopped by a signal or a debugger, and silent for this long. */
export const STOPPED_MS = 1_200;
/** Asleep without a beat: its event loop is stuck. */
export const STUCK_MS = 3_000;
/** Computing or waiting for a disk: it gets longer, because starting a new one on a starved machine helps nobody. */
export const BUSY_MS = 8_000;

export function judge({ silentMs, state }: AgentSigns): Judgement {
  if (state === null) return { kind: 'dead' };
  const isStopped = state === 'T' || state === 't';
  const limitMs = isStopped ? STOPPED_MS : state === 'R' || state === 'D' ? BUSY_MS : STUCK_MS;
  if (silentMs >= limitMs) {
    return { kind: 'frozen', why: `no beat for ${Math.round(silentMs)} ms, process state ${state}` };
  }
  // Below the shortest limit nothing can change the verdict; above it the state may.
  return {
    kind: 'well',
    lookAgainInMs: silentMs < STOPPED_MS ? STOPPED_MS - silentMs : Math.min(250, limitMs - silentMs),
  };
}
