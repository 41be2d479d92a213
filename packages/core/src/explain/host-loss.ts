import { type ClusterContext, configOf, freshPeer, tagsOf } from '../context.ts';
import { unfitness } from '../durability/eligible-ackers.ts';
import type { MemberId } from '../values/brand.ts';
import { EMPTY_MEMORY } from '../values/decision.ts';
import type { Observation } from '../values/observation.ts';
import { sealsSuffice } from '../values/record.ts';

/** Which hosts the cluster can lose at one moment, as it is now, and go on writing by itself; names as texts: plain JSON. */
export interface LossOutlook {
  /** The hosts whose loss alone stops the writes. */
  readonly one: readonly string[];
  /** The pairs that stop them when both are lost together, though neither does alone. */
  readonly two: readonly (readonly string[])[];
  /** All of it in a few words for people: `any one host; n1 and n2 together: no`. */
  readonly text: string;
}

/** At most so many pairs are named. */
const NAMED_PAIRS = 4;

/**
 * What the loss of one host, or of two at the same moment, would do now: by the recorded rule, and by who could seal, lead and
 * acknowledge. Hosts of the consensus store are not looked at.
 *
 * @returns null while there is no leadership record
 */
export function lossOutlook(obs: Observation): LossOutlook | null {
  if (obs.store.kind === 'never' || obs.store.content.record === null) return null;
  const { content } = obs.store;
  const { record } = obs.store.content;
  if (record === null) return null;
  const ctx: ClusterContext = { obs, memory: EMPTY_MEMORY, content, config: configOf(content), record };
  const hosts = [...content.members.keys()].sort();
  const able = new Set(hosts.filter((member) => member !== record.value.leader && isAble(ctx, member)));
  const survives = (lost: readonly MemberId[]): boolean => goesOn(ctx, able, new Set(lost));
  const one = hosts.filter((host) => !survives([host]));
  const rest = hosts.filter((host) => !one.includes(host));
  const pairs = rest.flatMap((a, index) => rest.slice(index + 1).map((b) => [a, b] as const));
  const two = pairs.filter((pair) => !survives(pair));
  return { one, two, text: textOf(one, two, rest.length, pairs.length) };
}

/** Whether a member that does not lead could seal and lead, or acknowledge for the next leader. */
function isAble(ctx: ClusterContext, member: MemberId): boolean {
  const engine = member === ctx.obs.self ? ctx.obs.engine : freshPeer(ctx, member)?.engine;
  return engine?.kind === 'replica' && engine.position !== null && unfitness(ctx, member) === null;
}

function goesOn(ctx: ClusterContext, able: ReadonlySet<MemberId>, lost: ReadonlySet<MemberId>): boolean {
  const record = ctx.record.value;
  const left = [...able].filter((member) => !lost.has(member));
  if (!lost.has(record.leader)) return acknowledge(ctx, left);
  const candidates = left.filter((member) => !tagsOf(ctx, member).nofailover);
  if (candidates.length === 0) return false;
  if (record.durability === 'async') return true;
  return sealsSuffice(record, new Set(left)) && acknowledge(ctx, left.slice(1));
}

/** Whether `members` are enough to acknowledge for a leader. */
function acknowledge(ctx: ClusterContext, members: readonly MemberId[]): boolean {
  const { config, record } = ctx;
  if (record.value.durability === 'async' || config.whenShort === 'degrade') return true;
  const counted = members.filter((member) => {
    const { nosync, nofailover } = tagsOf(ctx, member);
    return !nosync && !nofailover;
  });
  return counted.length >= Math.max(config.requiredAcks, record.value.rule.required);
}

function textOf(one: readonly string[], two: readonly (readonly string[])[], single: number, pairs: number): string {
  if (single === 0) return 'none: the loss of any host stops the writes';
  const alone = one.length === 0 ? 'any one host' : `any one host but ${one.join(', ')}`;
  if (pairs === 0) return alone;
  if (two.length === pairs) return `${alone}; no two of them together`;
  if (two.length === 0) return one.length === 0 ? 'any two hosts' : `${alone}, and any two of those`;
  const named = two.slice(0, NAMED_PAIRS).map((pair) => `${pair.join(' and ')} together: no`);
  const more = two.length > NAMED_PAIRS ? `; ${two.length - NAMED_PAIRS} more pairs: no` : '';
  return `${alone}, and two; ${named.join('; ')}${more}`;
}
