/** What one agent decided, from its ring of decisions. */
export interface DecisionEvent {
  readonly node: string;
  /** On the drill's clock. */
  readonly atMs: number;
  /** Code of the reason that explains it. */
  readonly code: string;
  readonly suspects: boolean;
  /** Whether it takes the leadership: writes the next epoch and promotes. */
  readonly takesLead: boolean;
}

/** Parts of a write outage, in ms; a part that did not occur, or was not seen, is null. */
export interface Phases {
  /** From the fault until some agent took the leader for dead, or knew that it had stopped. */
  readonly detect: number | null;
  /** From there until the last seal that the election waited for. */
  readonly seal: number | null;
  /** From there until a new leader was chosen. */
  readonly choose: number | null;
  /** From there until it was open for writes. */
  readonly promote: number | null;
  /** From there until the client with the longest outage had an insert acknowledged. */
  readonly reconnect: number | null;
}

export const phaseNames = [
  'detect',
  'seal',
  'choose',
  'promote',
  'reconnect',
] as const satisfies readonly (keyof Phases)[];

/** Of a run without an outage, or whose outage has another cause. */
export const nothingSeen: Phases = { detect: null, seal: null, choose: null, promote: null, reconnect: null };

const detecting = new Set([
  'sealing',
  'seal-published',
  'handed-over',
  'leader-sealed',
  'first-move',
  'restart-fenced',
  'switchover-stop',
]);
const sealed = new Set(['seal-published', 'handed-over', 'leader-sealed']);

/**
 * Splits an outage by what the agents decided meanwhile. The *last* leadership taken before writes went on is the one that ended the
 * outage, when there were several (a new leader was hit as well).
 *
 * An outage that began after that (a client that waited for a busy machine) is not explained by any of them: nothing is split then.
 *
 * @param faultMs when the fault was injected
 * @param outage of the client with the longest one: from its last acknowledged insert before to the first one after it
 */
export function phasesOf(
  events: readonly DecisionEvent[],
  faultMs: number,
  outage: { readonly fromMs: number; readonly toMs: number },
): Phases {
  const outageEndMs = outage.toMs;
  const during = events
    .filter((event) => event.atMs >= faultMs && event.atMs <= outageEndMs)
    .toSorted((a, b) => a.atMs - b.atMs);
  const opened = during.findLast((event) => event.code === 'opened')?.atMs ?? null;
  if (opened !== null && outage.fromMs >= opened) return nothingSeen;
  const chosen = during.findLast((event) => event.takesLead && event.atMs <= (opened ?? outageEndMs))?.atMs ?? null;
  const detected = during.find((event) => event.suspects || detecting.has(event.code))?.atMs ?? null;
  const lastSeal =
    chosen === null ? null : (during.findLast((event) => sealed.has(event.code) && event.atMs <= chosen)?.atMs ?? null);
  return {
    detect: span(faultMs, detected),
    seal: span(detected, lastSeal),
    choose: span(lastSeal ?? detected, chosen),
    promote: span(chosen, opened),
    reconnect: span(opened, outageEndMs),
  };
}

function span(fromMs: number | null, toMs: number | null): number | null {
  return fromMs === null || toMs === null ? null : Math.max(0, Math.round(toMs - fromMs));
}
