/**
 * Every interleaving of one leader's changes of its ack rule, with the real `decide`: the leader's steps, its server whose processes
 * load a new rule one after the other (`packages/sim` describes the same server; here nothing is left to chance), replicas that come
 * and go, commits whose outcome stays unknown and that arrive late, a new agent process. The leader may crash in every state that is
 * reached, so in every state each set of members that an election would accept must hold everything that was acknowledged.
 */
import {
  type AckRule,
  ALONE,
  type ClusterConfig,
  type Command,
  type Decision,
  decide,
  EMPTY_MEMORY,
  formatRule,
  incarnation,
  type LeadershipRecord,
  type MemberId,
  type Memory,
  ms,
  type Observation,
  type Position,
  sealsSuffice,
} from '../../src/index.ts';
import { confirmed, content, NOW, n1, n2, n3, n4, observation, primary, RECORD_REVISION, record } from './build.ts';
import { at } from './positions.ts';

const ACKERS = [n2, n3, n4] as const;
const COUNT = ACKERS.length;
const NONE = -1;

/** Rules by number, so that states are small. Rule 0: the leader alone. */
const rules: AckRule[] = [ALONE];
const ruleNumbers = new Map<string, number>([[formatRule(ALONE), 0]]);

function numberOf(rule: AckRule): number {
  const key = formatRule(rule);
  const known = ruleNumbers.get(key);
  if (known !== undefined) return known;
  rules.push(rule);
  ruleNumbers.set(key, rules.length - 1);
  return rules.length - 1;
}

const ruleOf = (number: number): AckRule => rules[number] ?? ALONE;

interface Recorded {
  readonly rule: number;
  readonly nextRule: number;
}

interface State {
  readonly recorded: Recorded;
  /** Which agent process the record names: 0 or 1; `agent` is the one that runs. */
  readonly recordedAgent: number;
  readonly agent: number;
  /** A commit of unknown outcome that may still arrive, as long as the record has not changed; what it would record. */
  readonly late: Recorded | null;
  /** The rule that this agent last tried to record alone at the present revision of the record; NONE when it did not. */
  readonly finishing: number;
  /** A command that follows a commit which succeeded. */
  readonly pending: number;
  readonly configured: number;
  readonly postmaster: number;
  readonly checkpointer: number;
  /** By walsender; NONE when its replica is away. */
  readonly loaded: readonly number[];
  readonly proven: boolean;
  /** Ends of logs as ranks: each replica's, the acknowledged one, the leader's, the barrier's (NONE without). */
  readonly ends: readonly number[];
  readonly requiredAcks: number;
  readonly durability: 'sync' | 'async';
  /** How many comings and goings, changes of configuration, new agents and unknown outcomes are still to happen. */
  readonly budget: readonly number[];
}

const ACKED = COUNT;
const LEADER = COUNT + 1;
const BARRIER = COUNT + 2;

export interface Scenario {
  readonly rule: AckRule;
  /** Which of n2, n3, n4 replicate at the start. */
  readonly there: readonly MemberId[];
  readonly requiredAcks: number;
  readonly whenShort: 'block' | 'degrade';
  readonly budget: {
    readonly moves: number;
    readonly configs: number;
    readonly restarts: number;
    readonly unknowns: number;
  };
}

/** How the code under test is run; a mutant replaces a part of it. */
export interface Subject {
  readonly decide: (observation: Observation, memory: Memory) => Decision;
  readonly suffices: (record: LeadershipRecord, sealed: ReadonlySet<MemberId>) => boolean;
}

export const REAL: Subject = { decide, suffices: sealsSuffice };

export interface Verdict {
  readonly states: number;
  /** The way to a state in which an acknowledged write could be lost; null when there is none. */
  readonly violation: readonly string[] | null;
}

/** Visits every reachable state, breadth first, until one violates the invariant or `statesMax` is reached. */
export function explore(scenario: Scenario, subject: Subject, statesMax: number): Verdict {
  const start = initial(scenario);
  const seen = new Map<string, { readonly from: string | null; readonly by: string }>([
    [keyOf(start), { from: null, by: 'start' }],
  ]);
  const asked: Asked = { electing: new Map(), commands: new Map() };
  let frontier: readonly State[] = [start];
  while (frontier.length > 0) {
    const next: State[] = [];
    for (const state of frontier) {
      const key = keyOf(state);
      if (loses(state, subject, asked)) return { states: seen.size, violation: pathTo(seen, key, state) };
      for (const [by, successor] of successors(state, scenario, subject, asked)) {
        const successorKey = keyOf(successor);
        if (seen.has(successorKey)) continue;
        seen.set(successorKey, { from: key, by });
        next.push(successor);
      }
    }
    if (seen.size > statesMax) throw new Error(`more than ${statesMax} states`);
    frontier = next;
  }
  return { states: seen.size, violation: null };
}

function pathTo(seen: ReadonlyMap<string, { from: string | null; by: string }>, end: string, state: State): string[] {
  const path = [`record: ${text(state.recorded)}, ends: ${state.ends.join(' ')}`];
  for (let key: string | null = end; key !== null; ) {
    const step = seen.get(key);
    if (step === undefined) break;
    path.unshift(step.by);
    key = step.from;
  }
  return path;
}

const text = ({ rule, nextRule }: Recorded): string =>
  `${formatRule(ruleOf(rule))}${nextRule === NONE ? '' : ` → ${formatRule(ruleOf(nextRule))}`}`;

function initial(scenario: Scenario): State {
  const rule = numberOf(scenario.rule);
  const { moves, configs, restarts, unknowns } = scenario.budget;
  return {
    recorded: { rule, nextRule: NONE },
    recordedAgent: 0,
    agent: 0,
    late: null,
    finishing: NONE,
    pending: NONE,
    configured: rule,
    postmaster: rule,
    checkpointer: rule,
    loaded: ACKERS.map((id) => (scenario.there.includes(id) ? rule : NONE)),
    proven: true,
    ends: [...ACKERS.map(() => 0), 0, 0, 0],
    requiredAcks: scenario.requiredAcks,
    durability: 'sync',
    budget: [moves, configs, restarts, unknowns],
  };
}

/** All of a state in one short text: every number is a character. */
function keyOf(state: State): string {
  const { recorded, late } = state;
  return String.fromCharCode(
    recorded.rule + 1,
    recorded.nextRule + 1,
    late === null ? 0 : late.rule + 1,
    late === null ? 0 : late.nextRule + 2,
    state.finishing + 1,
    state.pending + 1,
    state.configured,
    state.postmaster,
    state.checkpointer,
    state.recordedAgent * 8 + state.agent * 4 + (state.proven ? 2 : 0) + (state.durability === 'sync' ? 1 : 0),
    state.requiredAcks,
    ...state.loaded.map((rule) => rule + 1),
    ...state.ends.map((each) => each + 1),
    ...state.budget,
  );
}

/** Only the order of the ends matters: the ranks in use are 0, 1, 2, … without a gap. */
function ranked(ends: readonly number[]): readonly number[] {
  let used = 0;
  for (const each of ends) if (each !== NONE) used |= 1 << each;
  return ends.map((each) => {
    if (each === NONE) return NONE;
    let rank = 0;
    for (let below = 0; below < each; below += 1) rank += (used >> below) & 1;
    return rank;
  });
}

const end = (state: State, index: number): number => state.ends[index] ?? 0;
const withEnds = (state: State, changes: Readonly<Record<number, number>>): State => ({
  ...state,
  ends: ranked(state.ends.map((value, index) => changes[index] ?? value)),
});
const spend = (state: State, index: number): State['budget'] =>
  state.budget.map((left, position) => (position === index ? left - 1 : left));
const has = (state: State, index: number): boolean => (state.budget[index] ?? 0) > 0;

/** What is asked once for all states that are the same in this respect. */
interface Asked {
  readonly electing: Map<string, readonly (readonly number[])[]>;
  readonly commands: Map<string, readonly Command[]>;
}

/** The invariant (C10): whoever an election asks, somebody among them holds everything acknowledged. */
function loses(state: State, subject: Subject, asked: Asked): boolean {
  const acked = end(state, ACKED);
  return electing(state, subject, asked).some((members) => members.every((index) => end(state, index) < acked));
}

/** The sets of members, by index, that an election under the present record would accept as enough. */
function electing(state: State, subject: Subject, asked: Asked): readonly (readonly number[])[] {
  const key = `${state.recorded.rule} ${state.recorded.nextRule}`;
  const known = asked.electing.get(key);
  if (known !== undefined) return known;
  const recorded = recordOf(state);
  const subsets = Array.from({ length: 1 << COUNT }, (_, mask) =>
    ACKERS.map((_, index) => index).filter((index) => (mask >> index) & 1),
  );
  const found = subsets.filter((subset) =>
    subject.suffices(recorded, new Set(ACKERS.filter((_, index) => subset.includes(index)))),
  );
  asked.electing.set(key, found);
  return found;
}

type Successor = readonly [string, State];

function successors(state: State, scenario: Scenario, subject: Subject, asked: Asked): readonly Successor[] {
  return [...serverSteps(state), ...worldSteps(state), ...agentSteps(state, scenario, subject, asked)];
}

/** What the server does by itself. */
function serverSteps(state: State): readonly Successor[] {
  const steps: Successor[] = [['a client commits', written(state)]];
  ACKERS.forEach((id, index) => {
    const loaded = state.loaded[index] ?? NONE;
    if (loaded === NONE) return;
    if (end(state, index) < end(state, LEADER)) {
      steps.push([`${id} writes more`, withEnds(state, { [index]: end(state, index) + 1 })]);
    }
    const acked = ackedBy(state, index);
    if (acked > end(state, ACKED))
      steps.push([`the walsender of ${id} acknowledges`, withEnds(state, { [ACKED]: acked })]);
    if (loaded !== state.configured) {
      const all = state.loaded.map((rule, other) => (other === index ? state.configured : rule));
      steps.push([`the walsender of ${id} loads the rule`, { ...state, loaded: all }]);
    }
  });
  if (state.postmaster !== state.configured) {
    steps.push(['the postmaster loads the rule', { ...state, postmaster: state.configured }]);
  }
  if (state.checkpointer !== state.configured) {
    const after = { ...state, checkpointer: state.configured };
    // Without any rule nobody waits any more, and whoever does is released (C15).
    const released = ruleOf(state.configured).required === 0;
    steps.push([
      'the checkpointer loads the rule',
      released ? withEnds(after, { [ACKED]: end(after, LEADER) }) : after,
    ]);
  }
  if (!state.proven && isLoaded(state)) {
    const barrier = end(state, LEADER) + 1;
    const waits = ruleOf(state.checkpointer).required > 0;
    const ends = { [LEADER]: barrier, [BARRIER]: barrier, ...(waits ? {} : { [ACKED]: barrier }) };
    steps.push(['the rule is proven, the barrier written', { ...withEnds(state, ends), proven: true }]);
  }
  return steps;
}

function written(state: State): State {
  const leader = end(state, LEADER) + 1;
  const waits = ruleOf(state.checkpointer).required > 0;
  return withEnds(state, waits ? { [LEADER]: leader } : { [LEADER]: leader, [ACKED]: leader });
}

function isLoaded(state: State): boolean {
  const { configured } = state;
  return (
    state.postmaster === configured &&
    state.checkpointer === configured &&
    state.loaded.every((rule) => rule === NONE || rule === configured)
  );
}

/** As PostgreSQL's SyncRepReleaseWaiters: its own number of acks, among the standbys that their own walsenders take for counting. */
function ackedBy(state: State, index: number): number {
  const counts = (other: number): boolean => {
    const id = ACKERS[other];
    return id !== undefined && ruleOf(state.loaded[other] ?? 0).members.includes(id);
  };
  if (ruleOf(state.checkpointer).required === 0 || !counts(index)) return NONE;
  const { required } = ruleOf(state.loaded[index] ?? 0);
  const ends = ACKERS.flatMap((_, other) => (counts(other) ? [end(state, other)] : [])).sort((a, b) => b - a);
  return ends[required - 1] ?? NONE;
}

/** What happens to the cluster: replicas come and go, operators change their minds, commits arrive late. */
function worldSteps(state: State): readonly Successor[] {
  const steps: Successor[] = [];
  if (has(state, 0)) {
    const budget = spend(state, 0);
    ACKERS.forEach((id, index) => {
      const away = (state.loaded[index] ?? NONE) === NONE;
      const loaded = state.loaded.map((rule, other) => (other === index ? (away ? state.postmaster : NONE) : rule));
      steps.push([`${id} ${away ? 'connects' : 'goes away'}`, { ...state, loaded, budget }]);
    });
  }
  if (has(state, 1)) {
    const budget = spend(state, 1);
    const requiredAcks = state.requiredAcks === 1 ? 2 : 1;
    steps.push([`required acks become ${requiredAcks}`, { ...state, requiredAcks, budget }]);
    const durability = state.durability === 'sync' ? 'async' : 'sync';
    steps.push([`durability becomes ${durability}`, { ...state, durability, budget }]);
  }
  if (state.late !== null) {
    const landed = { ...state, recorded: state.late, late: null, finishing: NONE };
    steps.push([`a late commit arrives: ${text(state.late)}`, landed]);
  }
  return steps;
}

/** What the leader's agent does. */
function agentSteps(state: State, scenario: Scenario, subject: Subject, asked: Asked): readonly Successor[] {
  const steps: Successor[] = [];
  if (has(state, 2)) {
    const budget = spend(state, 2);
    steps.push(['a new agent', { ...state, agent: 1 - state.agent, pending: NONE, finishing: NONE, budget }]);
  }
  if (state.pending !== NONE) {
    steps.push([`set rule ${formatRule(ruleOf(state.pending))}`, ruleSet({ ...state, pending: NONE }, state.pending)]);
    return steps;
  }
  const [first, second] = commandsIn(state, scenario, subject, asked);
  if (first?.kind === 'set-ack-rule') {
    steps.push([`set rule ${formatRule(first.rule)}`, ruleSet(state, numberOf(first.rule))]);
  }
  if (first?.kind === 'commit') {
    const put = first.put.find((each) => each.key === 'record');
    if (put?.key !== 'record') throw new Error(`a commit without record: ${first.purpose}`);
    const { rule, nextRule } = put.value;
    const recorded = { rule: numberOf(rule), nextRule: nextRule === null ? NONE : numberOf(nextRule) };
    const pending = second?.kind === 'set-ack-rule' ? numberOf(second.rule) : NONE;
    steps.push([
      `${first.purpose}: ${text(recorded)}`,
      { ...state, recorded, recordedAgent: state.agent, late: null, finishing: NONE, pending },
    ]);
    if (has(state, 3)) {
      const finishing = first.purpose.startsWith('finish') ? recorded.rule : state.finishing;
      const unknown = { ...state, late: recorded, finishing, budget: spend(state, 3) };
      steps.push([`${first.purpose}, outcome unknown: ${text(recorded)}`, unknown]);
    }
  }
  return steps;
}

function ruleSet(state: State, rule: number): State {
  if (rule === state.configured) return state;
  return withEnds(
    { ...state, configured: rule, proven: false, ends: state.ends.map((value, i) => (i === BARRIER ? NONE : value)) },
    {},
  );
}

/** What `decide` wants in this state. Asked once for all states that look the same to the agent. */
function commandsIn(state: State, scenario: Scenario, subject: Subject, asked: Asked): readonly Command[] {
  const loaded = state.loaded.map((rule) => (rule === NONE ? 0 : 1)).join('');
  const key = `${state.recorded.rule},${state.recorded.nextRule},${state.recordedAgent === state.agent},${state.finishing},${state.configured},${state.proven},${loaded},${state.ends.join('.')},${state.requiredAcks},${state.durability}`;
  const known = asked.commands.get(key);
  if (known !== undefined) return known;
  const { commands } = subject.decide(observe(state, scenario), {
    ...EMPTY_MEMORY,
    finishing: state.finishing === NONE ? null : { revision: RECORD_REVISION, rule: ruleOf(state.finishing) },
    // Everything that the configuration gives a time for has waited long enough.
    shortSince: ms(0),
  });
  asked.commands.set(key, commands);
  return commands;
}

const POSITIONS = Array.from({ length: COUNT + 4 }, (_, rank) => at(5, 4200 + rank));
const positionOf = (rank: number): Position => POSITIONS[rank] ?? at(5, 4200 + rank);

function recordOf(state: State): LeadershipRecord {
  const { rule, nextRule } = state.recorded;
  return record({
    rule: ruleOf(rule),
    nextRule: nextRule === NONE ? null : ruleOf(nextRule),
    incarnation: incarnation(`agent ${state.recordedAgent}`),
  });
}

function observe(state: State, scenario: Scenario): Observation {
  const config: Partial<ClusterConfig> = {
    durability: state.durability,
    requiredAcks: state.requiredAcks,
    whenShort: scenario.whenShort,
    degradeAfterMs: 0,
    ackerGoneMs: 0,
  };
  const there = ACKERS.filter((_, index) => (state.loaded[index] ?? NONE) !== NONE);
  const barrier = end(state, BARRIER);
  return observation({
    self: n1,
    incarnation: incarnation(`agent ${state.agent}`),
    now: ms(NOW),
    store: {
      kind: 'current',
      content: content({
        members: [n1, ...ACKERS],
        record: { ...recordOf(state), durability: state.durability },
        config,
      }),
    },
    engine: primary({
      position: positionOf(end(state, LEADER)),
      acks: {
        running: state.proven ? ruleOf(state.configured) : null,
        barrier: state.proven && barrier !== NONE ? positionOf(barrier) : null,
      },
      replicas: there.map((id) => confirmed(id, { confirmed: positionOf(end(state, ACKERS.indexOf(id))) })),
    }),
  });
}
