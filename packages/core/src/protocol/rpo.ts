import { distanceBytes } from '../position/position.ts';
import { type AckRule, formatRule, sameRule } from '../values/ack-rule.ts';
import type { ClusterConfig } from '../values/config.ts';
import type { EngineState } from '../values/engine-state.ts';
import type { LeadershipRecord } from '../values/record.ts';

/** What would be lost if the leader's host vanished now (`design.md` 1): proven zero, zero under a named assumption, or up to so much. */
export type RecoveryPoint =
  | { readonly kind: 'zero-proven'; readonly why: string }
  | { readonly kind: 'zero-assumed'; readonly why: string }
  | { readonly kind: 'bounded'; readonly upToBytes: number | null; readonly why: string };

/**
 * The recovery-point statement of a cluster.
 *
 * @param engine the leader's engine state as last seen; null when nobody sees it
 */
export function recoveryPoint(
  record: LeadershipRecord,
  config: ClusterConfig,
  engine: EngineState | null,
): RecoveryPoint {
  if (record.durability === 'async') return asyncBound(engine);
  if (config.synchronousCommit === 'local') {
    return { ...asyncBound(engine), why: 'synchronousCommit is local: commits do not wait for replicas.' };
  }
  if (record.rule.required === 0 || record.moving?.required === 0) {
    return {
      kind: 'zero-assumed',
      why: `${record.leader} acknowledges alone; nobody else can be elected, and nothing is lost as long as its disk survives.`,
    };
  }
  if (engine?.kind === 'primary' && !isProven(record, engine.acks.running)) {
    return { kind: 'zero-assumed', why: 'The running server is not proven (yet) to acknowledge by the recorded rule.' };
  }

  if (config.synchronousCommit === 'remote_write') {
    return {
      kind: 'zero-assumed',
      why: `${formatRule(record.rule)} have received every acknowledged commit, though not flushed it: their operating systems must not crash.`,
    };
  }
  return {
    kind: 'zero-proven',
    why: `${formatRule(record.rule)} hold every acknowledged commit on disk before it is acknowledged.`,
  };
}

/** During a change the server may count by either rule: an election then stops both. */
function isProven(record: LeadershipRecord, running: AckRule | null): boolean {
  if (running === null) return false;
  return sameRule(running, record.rule) || (record.moving !== null && sameRule(running, record.moving));
}

function asyncBound(engine: EngineState | null): Extract<RecoveryPoint, { kind: 'bounded' }> {
  const why = 'Durability is async: commits do not wait for replicas.';
  if (engine?.kind !== 'primary' || engine.replicas.length === 0) return { kind: 'bounded', upToBytes: null, why };
  const lags = engine.replicas.map((replica) => distanceBytes(engine.position, replica.confirmed));
  return { kind: 'bounded', upToBytes: Math.min(...lags), why };
}
