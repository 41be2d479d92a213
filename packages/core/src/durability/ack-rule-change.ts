import { type Action, act, type ClusterContext, configOf, currentSeals, tagsOf, wait } from '../context.ts';
import { commitRecord } from '../leader/commit-record.ts';
import { contains, distanceBytes, type Position, TIMELINES_MAX } from '../position/position.ts';
import { countedNow } from '../replica/topology.ts';
import { type AckRule, ALONE, ackRule, formatRule, sameRule } from '../values/ack-rule.ts';
import { elapsedMs, type MemberId } from '../values/brand.ts';
import type { Memory } from '../values/decision.ts';
import type { PrimaryState, ReplicaProgress } from '../values/engine-state.ts';
import type { Observation } from '../values/observation.ts';
import type { LeadershipRecord } from '../values/record.ts';
import { mostAckers, pickAckers, unfitness } from './eligible-ackers.ts';

/** Beyond the normal interval of a replica's status messages (1 s). */
const STATUS_INTERVAL_MS = 1000;

/**
 * Keeps the set of ackers what it should be, one change at a time, in an order that is safe at every instant (C10–C12):
 *
 * 1. record both rules (an election now has to stop any mixture of them),
 * 2. make the server use the new one and prove it,
 * 3. wait until enough members of the new rule hold everything that the old rule may have let through (the barrier),
 * 4. record the new rule alone.
 *
 * The same four steps grow, shrink, raise and lower. Whatever crashes in between, the record is the stricter of record and server.
 * When the ackers of both rules go away in the middle, the record names no rule instead (nobody can be elected then), and under that
 * lock the server may change to any rule.
 */
export function manageAckers(ctx: ClusterContext): Action | null {
  const { engine } = ctx.obs;
  if (engine.kind !== 'primary' || ctx.record.value.phase !== 'open') return null;
  const { nextRule } = ctx.record.value;
  return nextRule === null ? beginChange(ctx, engine) : driveChange(ctx, engine, nextRule);
}

function beginChange(ctx: ClusterContext, engine: PrimaryState): Action | null {
  const { rule, durability } = ctx.record.value;
  if (engine.acks.running === null || !sameRule(engine.acks.running, rule)) {
    return act('rule-repair', `The server must count by ${formatRule(rule)}.`, [{ kind: 'set-ack-rule', rule }]);
  }
  const target = desiredRule(ctx, engine);
  if (!sameRule(target, rule)) {
    // Members in their time of grace are counted on, but a rule that nobody can fulfil now would stop the writes.
    if (!satisfiable(ctx, engine, target)) return null;
    return act('rule-change', `Ackers change from ${formatRule(rule)} to ${formatRule(target)}.`, [
      commitRecord(ctx, 'begin ack-rule change', { nextRule: target, durability: whileMoving(ctx) }),
      { kind: 'set-ack-rule', rule: target },
    ]);
  }
  if (ctx.config.durability === durability) return null;
  return act('durability-changed', `Durability becomes ${ctx.config.durability}.`, [
    commitRecord(ctx, 'change durability', endOfDurability(ctx, engine.position)),
  ]);
}

/** Until the server no longer waits for replicas the record stays strict: a lease alone must not be enough for an election before. */
function whileMoving(ctx: ClusterContext): LeadershipRecord['durability'] {
  return ctx.config.durability === 'async' ? ctx.record.value.durability : 'sync';
}

/** What the record says when the wished durability is in force; what was acknowledged in sync up to `end` no later leader may lack. */
function endOfDurability(ctx: ClusterContext, end: Position): Partial<LeadershipRecord> {
  const { durability } = ctx.config;
  if (durability === ctx.record.value.durability) return {};
  return durability === 'async' ? { durability, floor: end } : { durability };
}

function driveChange(ctx: ClusterContext, engine: PrimaryState, nextRule: AckRule): Action {
  const { rule } = ctx.record.value;
  if (nextRule.required === 0) return applyRule(ctx, engine, desiredRule(ctx, engine));
  if (satisfiable(ctx, engine, nextRule)) return applyRule(ctx, engine, nextRule);
  if (satisfiable(ctx, engine, rule)) return applyRule(ctx, engine, rule);
  const other = desiredRule(ctx, engine);
  if (sameRule(other, rule) || !satisfiable(ctx, engine, other)) return applyRule(ctx, engine, nextRule);
  return act(
    'rule-locked',
    `Neither ${formatRule(rule)} nor ${formatRule(nextRule)} can be fulfilled any more: nobody can be elected until ${formatRule(other)} is in force.`,
    [commitRecord(ctx, 'lock ack-rule change', { nextRule: ALONE })],
  );
}

/** Steps 2 to 4: the server counts by `target` and proves it, the barrier is passed, `target` alone is recorded. */
function applyRule(ctx: ClusterContext, engine: PrimaryState, target: AckRule): Action {
  if (engine.acks.running === null || !sameRule(engine.acks.running, target)) {
    return (
      mayStillFinish(ctx, target) ??
      act('rule-applying', `The server must count by ${formatRule(target)}.`, [{ kind: 'set-ack-rule', rule: target }])
    );
  }
  if (!barrierPassed(engine, target)) {
    return wait(
      'rule-barrier',
      `Waiting until ${target.required} of (${target.members.join(', ')}) hold everything acknowledged before the change.`,
    );
  }
  const finishing = { revision: ctx.record.revision, rule: target };
  // Not up to the barrier: one that `whenShort: degrade` wrote may be old, and what came after it was acknowledged in sync too.
  const ended = target.required === 0 ? endOfDurability(ctx, engine.position) : {};
  return act(
    'rule-changed',
    `Ackers are now ${formatRule(target)}.`,
    [commitRecord(ctx, 'finish ack-rule change', { rule: target, nextRule: null, ...ended })],
    { finishing },
  );
}

/**
 * A commit that recorded another rule alone may still arrive (its outcome is unknown, or not to be seen yet). Until the record has been
 * rewritten, so that it fails, the server must not go back to what that record would no longer ask for.
 */
function mayStillFinish(ctx: ClusterContext, target: AckRule): Action | null {
  const { finishing } = ctx.memory;
  if (finishing?.revision !== ctx.record.revision || sameRule(finishing.rule, target)) return null;
  return act('rule-recheck', 'The end of an earlier change may still arrive in the store: ruling that out first.', [
    commitRecord(ctx, 'keep ack-rule change', {}),
  ]);
}

/** Whether enough members of `target` have confirmed the barrier that the server wrote after it began to count by `target`. */
function barrierPassed(engine: PrimaryState, target: AckRule): boolean {
  const { barrier } = engine.acks;
  if (barrier === null) return false;
  const confirmed = engine.replicas.filter(
    (replica) => target.members.includes(replica.member) && contains(replica.confirmed, barrier),
  );
  return confirmed.length >= target.required;
}

function satisfiable(ctx: ClusterContext, engine: PrimaryState, rule: AckRule): boolean {
  const there = engine.replicas.filter((replica) => rule.members.includes(replica.member) && isThere(ctx, replica));
  return there.length >= rule.required;
}

/** Whether as many replicas stream as must acknowledge; only those count that may. */
export function enoughThere(ctx: ClusterContext, engine: PrimaryState): boolean {
  const { rule } = ctx.record.value;
  const there = engine.replicas.filter((replica) => isThere(ctx, replica) && isAllowed(ctx, replica.member));
  return there.length >= rule.required;
}

function isThere(ctx: ClusterContext, replica: ReplicaProgress): boolean {
  return replica.kind === 'streaming' && replica.silentMs < ctx.config.ackerGoneMs + STATUS_INTERVAL_MS;
}

/** The members that this leader could count on now: streaming, near, allowed, not sealed against it. */
function readyAckers(ctx: ClusterContext, engine: PrimaryState): readonly MemberId[] {
  const seals = currentSeals(ctx);
  return engine.replicas
    .filter((replica) => isThere(ctx, replica) && !seals.has(replica.member))
    .filter((replica) => isAllowed(ctx, replica.member))
    .filter((replica) => distanceBytes(engine.position, replica.confirmed) <= ctx.config.ackerLagBytes)
    .map((replica) => replica.member);
}

function isAllowed(ctx: ClusterContext, member: MemberId): boolean {
  const tags = tagsOf(ctx, member);
  return ctx.content.members.has(member) && member !== ctx.obs.self && !tags.nosync && !tags.nofailover;
}

/** The rule that this leader should have. */
export function desiredRule(ctx: ClusterContext, engine: PrimaryState): AckRule {
  const { config } = ctx;
  if (config.durability === 'async') return ALONE;
  const chosen = new Set(chosenAckers(ctx, engine));
  if (chosen.size >= config.requiredAcks) return ackRule(chosen, config.requiredAcks);
  return shortRule(ctx, chosen);
}

/**
 * Those that could be elected come first, then those in their time of grace whose place no other one can take, and only where they are
 * needed for an acknowledgement at all those that hold what they are sent and could not be elected.
 */
function chosenAckers(ctx: ClusterContext, engine: PrimaryState): readonly MemberId[] {
  const { config, obs, memory } = ctx;
  const { rule } = ctx.record.value;
  const inGrace = rule.members.filter((member) => {
    const since = memory.ackersGoneSince.get(member);
    return isAllowed(ctx, member) && since !== undefined && elapsedMs(since, obs.now) < config.ackerGoneMs;
  });
  const present = new Set(readyAckers(ctx, engine));
  // An acker of the present rule that is merely catching up stays: taking it out and in again would gain nothing.
  for (const replica of engine.replicas) {
    if (rule.members.includes(replica.member) && isThere(ctx, replica) && isAllowed(ctx, replica.member))
      present.add(replica.member);
  }
  const all = [...present, ...inGrace.filter((member) => !present.has(member))];
  const isFit = (member: MemberId): boolean => present.has(member) && !isUnfit(ctx, member);
  const direct = countedNow(ctx, all);
  const pool = direct.filter(isFit).length >= config.requiredAcks ? direct : all;
  const limit = mostAckers(config.requiredAcks);
  const fit = pickAckers(ctx, pool.filter(isFit), limit);
  const graced = pickAckers(
    ctx,
    pool.filter((member) => !present.has(member)),
    limit,
    fit,
  );
  const needed = graced.length === 0 ? limit : config.requiredAcks;
  return pickAckers(
    ctx,
    direct.filter((member) => present.has(member) && !isFit(member)),
    needed,
    graced,
  );
}

/** Whether a member is not to be counted on in an election. One that acknowledges gets its time of grace first. */
function isUnfit(ctx: ClusterContext, member: MemberId): boolean {
  if (unfitness(ctx, member) === null) return false;
  if (!ctx.record.value.rule.members.includes(member)) return true;
  const since = ctx.memory.ackersUnfitSince.get(member);
  return since !== undefined && elapsedMs(since, ctx.obs.now) >= ctx.config.ackerGoneMs;
}

/**
 * What an operator should know of the ackers while this node leads, a sentence each: those that could not be elected and are still counted
 * on, as nobody can take their place.
 */
export function standingWarnings(obs: Observation, memory: Memory): readonly string[] {
  if (obs.store.kind !== 'current' || obs.store.content.record === null || obs.engine.kind !== 'primary') return [];
  const { content } = obs.store;
  const ctx: ClusterContext = { obs, memory, content, config: configOf(content), record: obs.store.content.record };
  const { rule, leader } = ctx.record.value;
  if (leader !== obs.self) return [];
  const unfit = rule.members
    .filter((member) => isUnfit(ctx, member))
    .map(
      (member) =>
        `${member} acknowledges, but ${unfitness(ctx, member)}: if ${leader} is lost now, ${member} is missing in the election. Nobody can take its place yet.`,
    );
  return [...unfit, ...manyLeaderships(ctx.record.value)];
}

/** From so many sources on a position is no small thing any more. */
const SOURCES_MANY = 4096;

function manyLeaderships({ timeline, opened }: LeadershipRecord): readonly string[] {
  const most = opened?.kind === 'gtid' ? TIMELINES_MAX : 0xffffffff;
  const sources = opened?.kind === 'gtid' ? opened.set.size : 0;
  const way = 'Move the data to a new cluster in time, by a logical dump.';
  return [
    ...(timeline < most / 2 ? [] : [`This cluster is on timeline ${timeline}; it can have ${most}. ${way}`]),
    ...(sources < SOURCES_MANY
      ? []
      : [
          `Positions of this cluster name ${sources} sources of transactions, one for each leadership on MariaDB, and are stored and sent whole; from about 20000 on a store may refuse them. ${way}`,
        ]),
  ];
}

/** Fewer replicas than required acks. */
function shortRule(ctx: ClusterContext, counted: ReadonlySet<MemberId>): AckRule {
  const { config, obs, memory } = ctx;
  const { rule } = ctx.record.value;
  if (config.whenShort === 'degrade') {
    const waited = memory.shortSince === null ? 0 : elapsedMs(memory.shortSince, obs.now);
    return waited >= config.degradeAfterMs ? ackRule(counted, config.requiredAcks) : rule;
  }
  // Blocking never asks for less than before, but a cluster that is still being built protects with what it has.
  return counted.size > 0 && counted.size >= rule.required ? ackRule(counted, counted.size) : rule;
}

/** Which ackers of the present rule are away, or could not be elected, since when; kept from one decision to the next. */
export function noteAbsences(ctx: ClusterContext): {
  readonly gone: Memory['ackersGoneSince'];
  readonly unfit: Memory['ackersUnfitSince'];
  readonly short: Memory['shortSince'];
} {
  const { obs, memory, record } = ctx;
  if (obs.engine.kind !== 'primary' || record.value.leader !== obs.self) return NOBODY_GONE;
  const engine = obs.engine;
  const { members } = record.value.rule;
  const present = new Set(engine.replicas.filter((replica) => isThere(ctx, replica)).map((replica) => replica.member));
  const since = (known: Memory['ackersGoneSince'], those: readonly MemberId[]): Memory['ackersGoneSince'] =>
    new Map(those.map((member) => [member, known.get(member) ?? obs.now] as const));
  const gone = members.filter((member) => !present.has(member));
  // Of all members: one that enters the rule must not begin its time of grace anew.
  const unfit = [...ctx.content.members.keys()].filter((member) => unfitness(ctx, member) !== null);
  const enough = countedNow(ctx, readyAckers(ctx, engine)).length >= ctx.config.requiredAcks;
  return {
    gone: since(memory.ackersGoneSince, gone),
    unfit: since(memory.ackersUnfitSince, unfit),
    short: enough ? null : (memory.shortSince ?? obs.now),
  };
}

/** Of a node that does not lead: by far the most decisions. */
const NOBODY_GONE = { gone: new Map(), unfit: new Map(), short: null } as const;
