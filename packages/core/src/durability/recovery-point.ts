import { distanceBytes } from '../position/position.ts';
import { type AckRule, formatRule, sameRule } from '../values/ack-rule.ts';
import type { MemberId } from '../values/brand.ts';
import type { ClusterConfig } from '../values/config.ts';
import type { EngineState, PromiseVoid } from '../values/engine-state.ts';
import type { LeadershipRecord } from '../values/record.ts';

/** What would be lost if the leader's host vanished now (`docs/protocol.md`, the promise): proven zero, zero under a named assumption, or up to so much. */
export type RecoveryPoint =
  | { readonly kind: 'zero-proven'; readonly why: string }
  | { readonly kind: 'zero-assumed'; readonly why: string }
  | { readonly kind: 'bounded'; readonly upToBytes: number | null; readonly why: string };

/**
 * The recovery-point statement of a cluster: `zero-proven` only when nothing that anybody sees speaks against it.
 *
 * @param engines what each member's agent says of its own server; a member that nobody hears is left out
 */
export function recoveryPoint(
  record: LeadershipRecord,
  config: ClusterConfig,
  engines: ReadonlyMap<MemberId, EngineState>,
): RecoveryPoint {
  const leader = engines.get(record.leader) ?? null;
  if (record.durability === 'async') return asyncBound(leader);
  if (config.synchronousCommit === 'local') {
    return { ...asyncBound(leader), why: 'synchronousCommit is local: commits do not wait for replicas.' };
  }
  const voids = voidsOf(engines);
  const losses = voids.filter(({ effect }) => effect === 'loss');
  if (losses.length > 0) return { kind: 'bounded', upToBytes: null, why: textOf(losses) };
  const assumptions = [
    ...ruleAssumptions(record, config, leader),
    ...voids.filter(({ effect }) => effect === 'assumed').map(({ text }) => text),
  ];
  if (assumptions.length > 0) return { kind: 'zero-assumed', why: assumptions.join(' ') };
  return {
    kind: 'zero-proven',
    why: `${formatRule(record.rule)} hold every acknowledged commit on disk before it is acknowledged.`,
  };
}

/** What the recorded rule and the running server leave open. */
function ruleAssumptions(
  record: LeadershipRecord,
  config: ClusterConfig,
  leader: EngineState | null,
): readonly string[] {
  if (record.rule.required === 0 || record.nextRule?.required === 0) {
    return [
      `${record.leader} acknowledges alone; nobody else can be elected, and nothing is lost as long as its disk survives.`,
    ];
  }
  if (leader?.kind === 'primary' && !isProven(record, leader.acks.running)) {
    return [leader.acks.unproven ?? 'The running server is not proven (yet) to acknowledge by the recorded rule.'];
  }
  if (config.synchronousCommit === 'remote_write') {
    return [
      `${formatRule(record.rule)} have received every acknowledged commit, though not flushed it: their operating systems must not crash.`,
    ];
  }
  return [];
}

/** What voids the promise on any member, each sentence with the member's name. */
function voidsOf(engines: ReadonlyMap<MemberId, EngineState>): readonly PromiseVoid[] {
  return [...engines].flatMap(([member, engine]) =>
    engine.kind === 'primary' || engine.kind === 'replica'
      ? (engine.voids ?? []).map(({ effect, text }) => ({ effect, text: `${member}: ${text}` }))
      : [],
  );
}

const textOf = (voids: readonly PromiseVoid[]): string => voids.map(({ text }) => text).join(' ');

/** During a change the server may count by either rule; an election then stops the weakest mixture of both (`ruleToStop`). */
function isProven(record: LeadershipRecord, running: AckRule | null): boolean {
  if (running === null) return false;
  return sameRule(running, record.rule) || (record.nextRule !== null && sameRule(running, record.nextRule));
}

function asyncBound(engine: EngineState | null): Extract<RecoveryPoint, { kind: 'bounded' }> {
  const why = 'Durability is async: commits do not wait for replicas.';
  if (engine?.kind !== 'primary' || engine.replicas.length === 0) return { kind: 'bounded', upToBytes: null, why };
  const lags = engine.replicas.map((replica) => distanceBytes(engine.position, replica.confirmed));
  return { kind: 'bounded', upToBytes: Math.min(...lags), why };
}
