import type { StalePolicy } from '../levels/settings.ts';
import { DEFAULT_HEALTH_POLICY, type HealthPolicy } from './health.ts';

export interface ChoicePolicy {
  /** `two-choices`: the better one of two that are drawn. `sticky`: the node of before while it will do. */
  readonly balance: 'two-choices' | 'round-robin' | 'sticky';
  readonly onStale: StalePolicy;
  /** 0: reads do not wait for a replica. */
  readonly maxWaitMs: number;
  /** Where the router is; nodes elsewhere cost `otherZoneCost` times as much. */
  readonly zone: string | null;
  readonly otherZoneCost: number;
  /** Whether the primary serves reads beside the replicas. */
  readonly primaryReads: 'never' | 'when-needed' | 'equal';
  readonly health: HealthPolicy;
}

export const DEFAULT_CHOICE_POLICY: ChoicePolicy = {
  balance: 'two-choices',
  onStale: 'primary',
  maxWaitMs: 30,
  zone: null,
  otherZoneCost: 3,
  primaryReads: 'when-needed',
  health: DEFAULT_HEALTH_POLICY,
};
