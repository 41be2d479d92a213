import type { MemberId, Ms, Position } from '@understudy/core';
import { RoutingError } from '../errors.ts';
import { type Freshness, freshnessOf, type Requirement } from '../freshness/freshness.ts';
import type { PositionClock } from '../freshness/position-clock.ts';
import type { RouteTarget } from '../levels/settings.ts';
import type { Classification } from '../statement/classification.ts';
import { primaryOf, type RoutingNode, type RoutingTopology } from '../topology/topology.ts';
import { pick } from './balance.ts';
import { admission } from './health.ts';
import type { ChoicePolicy } from './policy.ts';

/** Which nodes serve a pool. Absent lists allow all. */
export interface PoolFilter {
  readonly members?: ReadonlySet<MemberId>;
  readonly zones?: ReadonlySet<string>;
  readonly tags?: ReadonlySet<string>;
  /** Whether reads that no replica of the pool can serve go to the primary. */
  readonly spill: 'primary' | 'none';
}

export const WHOLE_CLUSTER: PoolFilter = { spill: 'primary' };

/** `any`: for a confirmed read. `named`: the primary, or the node that a hint names, whatever that shows: it is asked about itself. */
export type AllowedNodes = 'any' | 'primary' | 'named';

/** What a class allows. */
export function allowedNodes({ node, reason, statements }: Classification): AllowedNodes {
  if (node === 'any') return 'any';
  const isOfNode = reason === 'function-of-node' || reason === 'relation-of-node';
  return isOfNode && statements === 1 ? 'named' : 'primary';
}

export interface ChoiceInput {
  readonly topology: RoutingTopology;
  readonly clock: PositionClock;
  /** What the statement's class allows (`allowedNodes`). */
  readonly allowed: AllowedNodes;
  readonly requirement: Requirement;
  readonly target: RouteTarget;
  readonly pool: PoolFilter;
  readonly policy: ChoicePolicy;
  readonly nowMs: Ms;
  /** Two random numbers in [0, 1). */
  readonly draws: readonly [number, number];
  /** Counts up with every choice: for round robin. */
  readonly turn: number;
  /** The node that served this session before; null: none. */
  readonly sticky: MemberId | null;
  /** Nodes that have failed for this statement already. */
  readonly excluded: ReadonlySet<MemberId>;
}

export type ChoiceReason =
  | 'statement-needs-primary'
  | 'asked-for-primary'
  | 'level-needs-primary'
  | 'only-node'
  | 'best-of-two'
  | 'round-robin'
  | 'sticky'
  | 'named-node'
  | 'guarded-replica'
  | 'no-replica-fresh'
  | 'no-replica-usable'
  | 'stale-accepted';

/** What was thought of a node, for `EXPLAIN ROUTE`. */
export interface Considered {
  readonly member: MemberId;
  readonly role: RoutingNode['role'];
  readonly verdict: Freshness | { readonly kind: 'unusable'; readonly why: Unusable };
}

export type Unusable = 'excluded' | 'takes-no-reads' | 'not-in-pool' | 'ejected';

export type Choice = {
  readonly considered: readonly Considered[];
} & (
  | {
      readonly kind: 'node';
      readonly member: MemberId;
      readonly role: RoutingNode['role'];
      readonly reason: ChoiceReason;
      /** To be guarded at the server for this position; null: it is fresh as it stands. */
      readonly guard: Position | null;
      /** It was taken out, and this statement tries it: `startProbe`. */
      readonly isProbe: boolean;
    }
  /** Wait for the topology to change. */
  | { readonly kind: 'hold'; readonly why: 'no-primary' | 'promoting' | 'lease-over' }
  | { readonly kind: 'refuse'; readonly error: RoutingError }
);

/**
 * Where a statement goes. A replica is chosen only for a confirmed read, and only if it is provably fresh enough, or guarded.
 * Everything else is the primary's; without one that leads, the statement is held, never sent to the wrong node.
 */
export function chooseNode(input: ChoiceInput): Choice {
  const { allowed, target, requirement } = input;
  if (allowed === 'named' && target.kind === 'node') return toItself(input, target.member);
  if (allowed !== 'any') return toPrimary(input, 'statement-needs-primary', []);
  if (target.kind === 'primary') return toPrimary(input, 'asked-for-primary', []);
  if (requirement.kind === 'primary') return toPrimary(input, 'level-needs-primary', []);
  const considered = input.topology.nodes.map((node) => consider(node, input, 'admitted'));
  const choice = target.kind === 'node' ? toNamed(input, target.member, considered) : toBest(input, considered);
  const isOutage = choice.kind === 'refuse' && considered.some(({ verdict }) => isEjected(verdict));
  // When everybody is taken out, nobody is: an error for certain is worse than one that is likely.
  if (target.kind === 'node') return choice;
  return isOutage
    ? toBest(
        input,
        input.topology.nodes.map((node) => consider(node, input, 'all')),
      )
    : choice;
}

const isEjected = (verdict: Considered['verdict']): boolean => verdict.kind === 'unusable' && verdict.why === 'ejected';

/** The primary, if it leads and (where that is known) its lease holds. */
function toPrimary(input: ChoiceInput, reason: ChoiceReason, considered: readonly Considered[]): Choice {
  const { topology, nowMs } = input;
  const primary = primaryOf(topology);
  if (input.pool.spill === 'none' && primary !== null && !isInPool(primary, input.pool)) {
    return refuse('POOL_READS_ONLY', 'This pool does not reach the primary, which the statement needs.', considered);
  }
  if (topology.phase === 'promoting') return { kind: 'hold', why: 'promoting', considered };
  if (primary === null || primary.role !== 'primary' || input.excluded.has(primary.member)) {
    return { kind: 'hold', why: 'no-primary', considered };
  }
  if (topology.leaseUntilMs !== null && nowMs >= topology.leaseUntilMs)
    return { kind: 'hold', why: 'lease-over', considered };
  return { kind: 'node', member: primary.member, role: 'primary', reason, guard: null, isProbe: false, considered };
}

function consider(node: RoutingNode, input: ChoiceInput, health: 'admitted' | 'all'): Considered {
  const { member, role } = node;
  const found = unusable(node, input);
  const why = found === 'ejected' && health === 'all' ? null : found;
  const verdict =
    why === null
      ? freshnessOf(node, input.requirement, input.topology.opened, input.clock, input.nowMs)
      : ({ kind: 'unusable', why } as const);
  return { member, role, verdict };
}

function unusable(node: RoutingNode, { pool, policy, nowMs, excluded, target }: ChoiceInput): Unusable | null {
  if (excluded.has(node.member)) return 'excluded';
  const isNamed = target.kind === 'node' && target.member === node.member;
  if (!isNamed && node.role === 'replica' && (!node.takesReads || node.weight <= 0)) return 'takes-no-reads';
  if (!isNamed && !isInPool(node, pool)) return 'not-in-pool';
  return admission(node.health, nowMs, policy.health) === 'no' ? 'ejected' : null;
}

function isInPool(node: RoutingNode, { members, zones, tags }: PoolFilter): boolean {
  if (members !== undefined && !members.has(node.member)) return false;
  if (zones !== undefined && (node.zone === null || !zones.has(node.zone))) return false;
  return tags === undefined || [...tags].every((tag) => node.tags.has(tag));
}

/** A node that is asked about itself. */
function toItself(input: ChoiceInput, member: MemberId): Choice {
  const node = nodeOf(input, member);
  if (node === null || input.excluded.has(member)) return refuse('NO_NODE', `Node ${member} cannot be used.`, []);
  return node.role === 'primary' ? toPrimary(input, 'named-node', []) : toReplica(input, node, 'named-node', null, []);
}

/** A hint names a node and does not make it fresh: what it cannot show provably, it is not asked for. */
function toNamed(input: ChoiceInput, member: MemberId, considered: readonly Considered[]): Choice {
  const found = considered.find((each) => each.member === member);
  if (found?.role === 'primary') return toPrimary(input, 'named-node', considered);
  const node = nodeOf(input, member);
  if (found?.verdict.kind === 'fresh' && node !== null) return toReplica(input, node, 'named-node', null, considered);
  if (found?.verdict.kind === 'guard' && node !== null) {
    return toReplica(input, node, 'named-node', found.verdict.position, considered);
  }
  return refuse('NO_NODE', `Node ${member} cannot be used for this statement.`, considered);
}

function toBest(input: ChoiceInput, considered: readonly Considered[]): Choice {
  const { policy, topology, target } = input;
  const replicas = considered.filter(({ role }) => role === 'replica');
  const fresh = nodesWith(input, replicas, 'fresh');
  const primary = primaryOf(topology);
  const primaryIn = considered.find(({ member, role }) => role === 'primary' && member === primary?.member);
  const withPrimary =
    policy.primaryReads === 'equal' && target.kind === 'auto' && primaryIn?.verdict.kind === 'fresh' && primary !== null
      ? [...fresh, primary]
      : fresh;
  if (withPrimary.length > 0) return toOneOf(input, withPrimary, considered);
  const guarded = policy.maxWaitMs > 0 ? nodesWith(input, replicas, 'guard') : [];
  if (guarded.length > 0) return toGuarded(input, guarded, considered);
  return withoutFresh(input, replicas, considered);
}

function toOneOf(input: ChoiceInput, nodes: readonly RoutingNode[], considered: readonly Considered[]): Choice {
  const { policy, sticky } = input;
  const before = policy.balance === 'sticky' ? nodes.find(({ member }) => member === sticky) : undefined;
  const node = before ?? pick(nodes, input);
  if (node.role === 'primary') return toPrimary(input, reasonFor(input, nodes, before), considered);
  return toReplica(input, node, reasonFor(input, nodes, before), null, considered);
}

function reasonFor(
  { policy }: ChoiceInput,
  nodes: readonly RoutingNode[],
  before: RoutingNode | undefined,
): ChoiceReason {
  if (before !== undefined) return 'sticky';
  if (nodes.length === 1) return 'only-node';
  return policy.balance === 'round-robin' ? 'round-robin' : 'best-of-two';
}

/** The one that is nearest to the position: it has to wait the shortest. */
function toGuarded(input: ChoiceInput, nodes: readonly RoutingNode[], considered: readonly Considered[]): Choice {
  const node = nodes.reduce((best, each) => (extent(each) > extent(best) ? each : best));
  const position = input.requirement.kind === 'position' ? input.requirement.position : null;
  return toReplica(input, node, 'guarded-replica', position, considered);
}

const extent = ({ applied }: RoutingNode): bigint => {
  if (applied === null) return -1n;
  if (applied.kind === 'wal') return applied.lsn;
  let sum = 0n;
  for (const intervals of applied.set.values()) for (const { first, last } of intervals) sum += last - first + 1n;
  return sum;
};

function withoutFresh(input: ChoiceInput, replicas: readonly Considered[], considered: readonly Considered[]): Choice {
  const { policy, pool, target } = input;
  const usable = replicas.filter(({ verdict }) => verdict.kind !== 'unusable');
  const reason = usable.length > 0 ? 'no-replica-fresh' : 'no-replica-usable';
  const mayAskPrimary = pool.spill === 'primary' && policy.primaryReads !== 'never' && target.kind !== 'replica';
  if (policy.onStale === 'primary' && mayAskPrimary) return toPrimary(input, reason, considered);
  if (policy.onStale === 'stale') {
    // What has left the history is not merely stale.
    const stale = usable.filter(({ verdict }) => verdict.kind !== 'stale' || verdict.why !== 'diverged');
    const nodes = stale.flatMap(({ member }) => nodeOf(input, member) ?? []);
    if (nodes.length > 0) return toReplica(input, pick(nodes, input), 'stale-accepted', null, considered);
  }
  return usable.length > 0
    ? refuse('NO_FRESH_NODE', 'No replica that may be asked is provably fresh enough.', considered)
    : refuse('NO_NODE', 'No replica of this pool can be used.', considered);
}

function toReplica(
  input: ChoiceInput,
  node: RoutingNode,
  reason: ChoiceReason,
  guard: Position | null,
  considered: readonly Considered[],
): Choice {
  const isProbe = admission(node.health, input.nowMs, input.policy.health) === 'probe';
  return { kind: 'node', member: node.member, role: node.role, reason, guard, isProbe, considered };
}

function nodesWith(input: ChoiceInput, among: readonly Considered[], kind: Freshness['kind']): readonly RoutingNode[] {
  return among.filter(({ verdict }) => verdict.kind === kind).flatMap(({ member }) => nodeOf(input, member) ?? []);
}

const nodeOf = ({ topology }: ChoiceInput, member: MemberId): RoutingNode | null =>
  topology.nodes.find((node) => node.member === member) ?? null;

const REFUSALS = {
  NO_NODE: { retry: 'safe', sqlState: '57P03', nextStep: 'Try again, or use another node or pool.' },
  NO_FRESH_NODE: { retry: 'safe', sqlState: '57P03', nextStep: 'Try again, or set understudy.on_stale to primary.' },
  POOL_READS_ONLY: { retry: 'unsafe', sqlState: '25006', nextStep: 'Send it through a pool that reaches the primary.' },
} as const;

function refuse(code: keyof typeof REFUSALS, message: string, considered: readonly Considered[]): Choice {
  return { kind: 'refuse', error: new RoutingError(code, message, REFUSALS[code]), considered };
}
