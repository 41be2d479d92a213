import { addMs, type Ms } from '@understudy/core';

/**
 * A node's record as the router sees it.
 *
 * - `closed`: in use. - `open`: taken out until `untilMs`. - `half-open`: one statement at a time tries whether it is back.
 */
export type NodeHealth =
  | { readonly kind: 'closed'; readonly failures: number; readonly ejections: number }
  | { readonly kind: 'open'; readonly untilMs: Ms; readonly ejections: number }
  | { readonly kind: 'half-open'; readonly probeSinceMs: Ms; readonly ejections: number };

/** `local`: it failed on the router's own side (no file descriptor, no memory): that says nothing of the node. */
export type Outcome = 'success' | 'failure' | 'local';

export interface HealthPolicy {
  /** Failures in a row that take a node out. */
  readonly failures: number;
  readonly ejectMs: number;
  readonly ejectMaxMs: number;
  /** A probe that says nothing for that long has failed. */
  readonly probeTimeoutMs: number;
}

export const DEFAULT_HEALTH_POLICY: HealthPolicy = {
  failures: 3,
  ejectMs: 1_000,
  ejectMaxMs: 30_000,
  probeTimeoutMs: 2_000,
};

export const HEALTHY: NodeHealth = { kind: 'closed', failures: 0, ejections: 0 };

/**
 * The health after one statement or connection attempt.
 *
 * @param draw a random number in [0, 1): routers that lost a node together do not probe it together.
 */
export function afterOutcome(
  health: NodeHealth,
  outcome: Outcome,
  nowMs: Ms,
  policy: HealthPolicy,
  draw: number,
): NodeHealth {
  if (outcome === 'local') return health;
  if (outcome === 'success') {
    // What was sent before it was taken out may still succeed: the probe decides, not that.
    if (health.kind === 'open') return health;
    return {
      kind: 'closed',
      failures: 0,
      ejections: health.kind === 'closed' ? calmed(health.ejections) : health.ejections,
    };
  }
  if (health.kind === 'open') return health;
  if (health.kind === 'closed' && health.failures + 1 < policy.failures) {
    return { ...health, failures: health.failures + 1 };
  }
  const forMs = Math.min(policy.ejectMaxMs, policy.ejectMs * 2 ** Math.min(health.ejections, 16));
  return { kind: 'open', untilMs: addMs(nowMs, forMs * (0.5 + draw / 2)), ejections: health.ejections + 1 };
}

const calmed = (ejections: number): number => Math.max(0, ejections - 1);

/** Whether a statement may be sent there now. `probe`: this one, marked with `startProbe`, and no second one. */
export function admission(health: NodeHealth, nowMs: Ms, policy: HealthPolicy): 'yes' | 'probe' | 'no' {
  switch (health.kind) {
    case 'closed':
      return 'yes';
    case 'open':
      return nowMs >= health.untilMs ? 'probe' : 'no';
    case 'half-open':
      return nowMs >= addMs(health.probeSinceMs, policy.probeTimeoutMs) ? 'probe' : 'no';
  }
}

/** The health while a probe is on its way. */
export function startProbe(health: NodeHealth, nowMs: Ms): NodeHealth {
  return health.kind === 'closed' ? health : { kind: 'half-open', probeSinceMs: nowMs, ejections: health.ejections };
}

const SMOOTHING = 0.2;

/** Exponentially weighted mean of round trips; the first one counts whole. */
export function afterLatency(latencyMs: number, sampleMs: number): number {
  return latencyMs === 0 ? sampleMs : latencyMs + SMOOTHING * (sampleMs - latencyMs);
}
