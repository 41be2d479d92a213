import type { ClusterContext } from '../context.ts';
import { evidenceEnd } from '../patience.ts';
import { type AckRule, sameRule } from '../values/ack-rule.ts';
import { addMs, type Ms } from '../values/brand.ts';
import type { Authority, Memory } from '../values/decision.ts';
import type { ReplicaProgress } from '../values/engine-state.ts';
import { ruleToStop } from '../values/record.ts';

/** By how much two clocks may differ in pace: half a percent each way, a hundred times what a quartz does. */
const CLOCK_MARGIN = 0.01;

/**
 * Until when a lease is valid for its holder. Counted from when the renewal was *sent*: the store may have started its own count at
 * any moment after that, so this is the only end that can not lie beyond the store's (C3);
 * shortened by what the two clocks may drift apart meanwhile.
 *
 * @param sentAt when the request left, on the holder's monotonic clock
 * @param ttlMs what the store granted
 */
export function leaseUntil(sentAt: Ms, ttlMs: number): Ms {
  return addMs(sentAt, ttlMs * (1 - CLOCK_MARGIN));
}

/**
 * When enough ackers were last heard to make a newer epoch impossible at that moment; null when they were not.
 * While `required` ackers still confirm to this leader they are not sealed, so no quorum of seals exists.
 */
export function ackEvidenceAt(now: Ms, rule: AckRule, replicas: readonly ReplicaProgress[]): Ms | null {
  if (rule.required === 0) return null;
  const silences = replicas
    .filter((replica) => rule.members.includes(replica.member))
    .map((replica) => replica.silentMs)
    .sort((a, b) => a - b);
  const deciding = silences[rule.required - 1];
  return deciding === undefined ? null : addMs(now, -deciding);
}

/**
 * How long this node's primary may go on (`docs/protocol.md`): the longest of its lease, its ackers' evidence and, when it is recorded as
 * acknowledging alone, its own agent's life (nobody else can be elected then without an operator's override).
 */
export function authorityOf(ctx: ClusterContext): Authority {
  const { obs, config, record } = ctx;
  if (obs.engine.kind !== 'primary' && obs.engine.kind !== 'unresponsive') return { kind: 'none' };
  if (record.value.leader !== obs.self) return { kind: 'none' };
  const candidates: Ms[] = [];
  if (obs.authority.leaseUntil !== null) candidates.push(obs.authority.leaseUntil);
  if (record.value.durability === 'sync') {
    const evidence = presentEvidenceAt(ctx);
    if (evidence !== null) candidates.push(addMs(evidence, config.leaseTtlMs));
    const newest = newestEvidence(ctx);
    if (newest !== null) candidates.push(evidenceEnd(newest.at, config));
  }
  const until = candidates.reduce<Ms | null>((best, each) => (best === null || each > best ? each : best), null);
  return until === null ? { kind: 'none' } : { kind: 'primary', until };
}

/** By the ackers that are connected now. */
function presentEvidenceAt(ctx: ClusterContext): Ms | null {
  const { obs } = ctx;
  const rule = ruleToStop(ctx.record.value);
  if (rule.required === 0) return obs.now;
  return obs.engine.kind === 'primary' ? ackEvidenceAt(obs.now, rule, obs.engine.replicas) : null;
}

/**
 * The newest moment at which enough ackers were heard, also if they have gone since: what was heard stays true. See `evidenceEnd` for how long that
 * counts. Bound to the epoch, and to the rule that an election would have to stop.
 */
export function newestEvidence(ctx: ClusterContext): Memory['ackEvidence'] {
  const { obs, record, memory } = ctx;
  if (record.value.leader !== obs.self || record.value.durability !== 'sync') return null;
  const { epoch } = record.value;
  const rule = ruleToStop(record.value);
  const at = rule.required === 0 ? null : presentEvidenceAt(ctx);
  const kept = memory.ackEvidence;
  const before = kept?.epoch === epoch && sameRule(kept.rule, rule) ? kept : null;
  return at === null || (before !== null && before.at >= at) ? before : { epoch, rule, at };
}
