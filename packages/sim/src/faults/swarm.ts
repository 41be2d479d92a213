import type { ClusterConfig, Command, Durability, MemberTags } from '@understudy/core';
import { nameOf } from '../agent/observe.ts';
import type { Scenario } from '../run/scenario.ts';
import { countableAcks, type Flavour } from '../server/flavour.ts';
import { type Random, randomFor } from '../time/random.ts';
import { FAULT_KINDS, type Fault, type FaultAction, type FaultKind, type Target } from './fault.ts';
import { drawMeddling } from './meddle.ts';
import { drawPostgresMeddling } from './meddle-postgres.ts';

/** What a caller of the simulator may fix; everything else is drawn from the seed. */
export interface SwarmOptions {
  readonly flavour: Flavour | null;
  readonly nodes: number | null;
  readonly durationMs: number;
  /** Fixes the durability; null: as drawn. */
  readonly durability: Durability | null;
  /** Only these kinds of faults; null: drawn from all. */
  readonly faults: readonly FaultKind[] | null;
  /** A fixed course of faults, repeated, in place of a drawn one. */
  readonly course: FaultCourse | null;
}

/** Faults at offsets from the beginning of each round. */
export interface FaultCourse {
  readonly everyMs: number;
  readonly faults: readonly Fault[];
}

/** Commands at which something strikes, the decisive ones more often. */
const COMMANDS: readonly Command['kind'][] = [
  'commit',
  'commit',
  'commit',
  'promote',
  'promote',
  'seal',
  'seal',
  'set-ack-rule',
  'set-ack-rule',
  'follow',
  'start',
  'stop',
  'rewind',
  'clone',
  'provision',
  'initialize',
];

/** The phases of the protocol that are written down; null: whatever is written next. */
const PURPOSES = [
  null,
  'publish seal',
  'publish seal',
  'take leadership',
  'take leadership',
  'open',
  'withdraw seal',
  'begin ack-rule change',
  'finish ack-rule change',
  'adopt running primary',
  'adopt promotion',
  'found cluster',
  'close request',
];

const FLAVOURS_DRAWN: readonly Flavour[] = ['postgres', 'postgres', 'mysql', 'mariadb'];

/** LSNs just below a change in the number of their digits: text comparison gets those wrong. */
const START_LSNS: readonly number[] = [
  0x3000000,
  0xff00000,
  0xffff000,
  0x100000000 - 0x4000,
  0x1000000000 - 0x4000,
  0x16b374d848,
];

/** Draws a whole scenario from a seed: first which faults exist and how often (swarm testing), then their times and arguments. */
export function drawScenario(seed: number, options: SwarmOptions): Scenario {
  const random = randomFor(seed, 'scenario');
  const nodes = options.nodes ?? random.pick([3, 3, 3, 3, 5, 2, 2]);
  // Drawn apart, so that one seed means the same faults on every engine.
  const flavour = options.flavour ?? randomFor(seed, 'flavour').pick(FLAVOURS_DRAWN);
  const drawn = drawConfig(random, nodes, flavour);
  const config = options.durability === null ? drawn : { ...drawn, durability: options.durability };
  const wide = random.chance(0.1);
  const scenario: Scenario = {
    seed,
    flavour,
    nodes,
    durationMs: options.durationMs,
    settleMs: 120_000,
    idleMs: 15_000,
    config,
    tags: Array.from({ length: nodes }, () => drawTags(random)),
    net: {
      linkMs: wide ? random.between(5, 40) : random.between(0.1, 1.5),
      jitterMs: random.between(0.1, wide ? 20 : 3),
      spikeShare: random.chance(0.3) ? random.between(0, 0.01) : 0,
      spikeMs: random.between(50, 400),
    },
    clocks: Array.from({ length: nodes }, () => ({
      rate: random.between(0.995, 1.005),
      wallOffsetMs: random.chance(0.2) ? random.between(-7_200_000, 7_200_000) : random.between(-50, 50),
    })),
    bootDelaysMs: Array.from({ length: nodes }, () => random.between(0, 300)),
    storeClockRate: random.between(0.995, 1.005),
    writesPerSecond: random.pick([1, 2, 3, 5]),
    burstPerSecond: random.pick([0, 20, 100]),
    writeBytes: random.pick([200, 2000, 8000]),
    canRewind: random.chance(0.7) && flavour === 'postgres' ? 'yes' : 'no',
    startLsn: random.pick(START_LSNS),
    streamTimeoutMs: random.pick([2500, 5000, 10_000]),
    faults: [],
  };
  const planned = { ...scenario, faults: planFaults(scenario, options) };
  if (options.course !== null) return planned;
  const { faults } = options;
  return putBackAtTheEnd(meddledWith(withStops(asTree(planned, faults), faults), faults), faults);
}

/** Agents that are told to end, as for a reboot. Drawn apart, so that one seed means the same other faults with and without. */
function withStops(scenario: Scenario, only: readonly FaultKind[] | null): Scenario {
  const random = randomFor(scenario.seed, 'planned stops');
  const stops = only === null ? random.pick([0, 0, 0, 2, 6]) : 0;
  const faults: readonly Fault[] = Array.from({ length: stops }, () => ({
    at: Math.round(random.between(8000, scenario.durationMs)),
    kind: 'stop-agent',
    node: drawTarget(random, scenario.nodes),
    forMs: drawDuration(random),
  }));
  return { ...scenario, faults: [...scenario.faults, ...faults].sort((a, b) => a.at - b.at) };
}

/** Some servers are changed behind their agents' backs. Drawn apart, so that one seed means the same faults otherwise. */
function meddledWith(scenario: Scenario, only: readonly FaultKind[] | null): Scenario {
  const random = randomFor(scenario.seed, 'meddling');
  const postgres = scenario.flavour === 'postgres';
  if (only?.includes(postgres ? 'meddle-postgres' : 'meddle') === false || !random.chance(0.3)) return scenario;
  const draw = postgres ? drawPostgresMeddling : drawMeddling;
  const faults: readonly Fault[] = Array.from({ length: 1 + random.int(6) }, () => ({
    at: Math.round(random.between(8000, scenario.durationMs)),
    ...draw(random, drawTarget(random, scenario.nodes)),
  }));
  return { ...scenario, faults: [...scenario.faults, ...faults].sort((a, b) => a.at - b.at) };
}

/** Now and then the store is put back in the middle, and mostly the whole site loses its power with it. Drawn apart. */
function putBackAtTheEnd(scenario: Scenario, only: readonly FaultKind[] | null): Scenario {
  const random = randomFor(scenario.seed, 'put-back');
  // Who acknowledges alone cannot be told by anybody that the store went back: `docs/store.md`.
  const { durability, whenShort } = scenario.config;
  if (only !== null || durability === 'async' || whenShort === 'degrade' || !random.chance(0.15)) return scenario;
  const at = Math.round(scenario.durationMs * random.between(0.5, 0.9));
  const fault: Fault = { at, ...drawPutBack(random, Math.round(random.between(200, 6000))) };
  return { ...scenario, faults: [...scenario.faults, fault].sort((a, b) => a.at - b.at) };
}

function drawPutBack(random: Random, forMs: number): FaultAction {
  return {
    kind: 'store-put-back',
    agoMs: random.chance(0.25) ? 'all' : Math.round(random.between(500, 30_000)),
    hosts: random.chance(0.7) ? 'lose-power' : 'stay',
    forMs,
  };
}

/**
 * Some clusters are trees, and some of those change their shape while faults strike. Drawn apart, so that one seed means the same faults
 * with and without. A shape may be foolish (a circle, a member under itself): then the protocol has to make the best of it.
 */
function asTree(scenario: Scenario, only: readonly FaultKind[] | null): Scenario {
  const random = randomFor(scenario.seed, 'topology');
  if (scenario.nodes < 3 || !random.chance(0.4)) return scenario;
  const config = { ...scenario.config, upstreams: drawUpstreams(random, scenario.nodes) };
  const moves = only === null || only.includes('config') ? random.pick([0, 0, 1, 3]) : 0;
  const faults: readonly Fault[] = Array.from({ length: moves }, () => ({
    at: Math.round(random.between(8000, scenario.durationMs)),
    kind: 'config',
    change: { upstreams: drawUpstreams(random, scenario.nodes) },
  }));
  return { ...scenario, config, faults: [...scenario.faults, ...faults].sort((a, b) => a.at - b.at) };
}

function drawUpstreams(random: Random, nodes: number): ClusterConfig['upstreams'] {
  const share = random.pick([0.3, 0.6, 1]);
  const isSound = random.chance(0.8);
  const entries = Array.from({ length: nodes }, (_, index) => index)
    .filter((index) => (isSound ? index > 0 : true) && random.chance(share))
    .map((index) => [nameOf(index), nameOf(random.int(isSound ? index : nodes))] as const);
  return Object.fromEntries(entries);
}

function drawConfig(random: Random, nodes: number, flavour: Flavour): Partial<ClusterConfig> {
  const two = nodes === 2;
  return {
    durability: random.chance(0.12) ? 'async' : 'sync',
    requiredAcks: countableAcks(flavour, nodes >= 3 && random.chance(0.25) ? 2 : 1),
    whenShort: random.chance(two ? 0.7 : 0.35) ? 'degrade' : 'block',
    degradeAfterMs: random.pick([500, 3000]),
    leaseTtlMs: random.pick([3000, 6000, 6000, 10_000]),
  };
}

function drawTags(random: Random): Partial<MemberTags> {
  return {
    priority: random.pick([100, 100, 100, 50, 200]),
    nofailover: random.chance(0.06),
    nosync: random.chance(0.06),
  };
}

function planFaults(scenario: Scenario, options: SwarmOptions): readonly Fault[] {
  const { course } = options;
  if (course === null) return drawFaults(randomFor(scenario.seed, 'fault-plan'), scenario, options.faults);
  const rounds = Math.floor(scenario.durationMs / course.everyMs);
  return Array.from({ length: rounds }, (_, round) =>
    course.faults.map((fault) => ({ ...fault, at: (round + 0.5) * course.everyMs + fault.at })),
  ).flat();
}

function drawFaults(random: Random, scenario: Scenario, only: readonly FaultKind[] | null): readonly Fault[] {
  if (random.chance(0.03)) return [];
  const kinds = only ?? drawKinds(random);
  const meanGapMs = random.pick([6000, 15_000, 30_000]);
  const followUpShare = random.pick([0, 0.3, 0.6]);
  const storyShare = only === null ? random.pick([0, 0.3, 0.7]) : 0;
  const faults: Fault[] = [];
  let at = random.chance(0.15) ? random.between(0, 3000) : random.between(8000, 15_000);
  while (at < scenario.durationMs) {
    if (random.chance(storyShare)) faults.push(...drawStory(random, at, scenario));
    else faults.push({ at: Math.round(at), ...drawFault(random, random.pick(kinds), scenario) });
    // A second fault inside the phases of the first, or one after its consequences.
    at += random.chance(followUpShare) ? random.between(0, 2500) : random.exponential(meanGapMs);
  }
  return faults.filter((fault) => fault.at < scenario.durationMs).sort((a, b) => a.at - b.at);
}

/** Swarm testing: which kinds exist in this run at all, and how often each. */
function drawKinds(random: Random): readonly FaultKind[] {
  const weights = new Map<FaultKind, number>();
  for (const kind of FAULT_KINDS) {
    // Drawn apart.
    if (kind === 'stop-agent' || kind === 'meddle' || kind === 'meddle-postgres' || kind === 'store-put-back') continue;
    if (random.chance(0.45)) weights.set(kind, random.pick([1, 1, 2, 5]));
  }
  if (weights.size === 0) weights.set('kill-database', 1);
  return [...weights].flatMap(([kind, weight]) => Array.from({ length: weight }, () => kind));
}

/** What makes a cluster change its leader. */
const UPHEAVALS = ['failover', 'switchover', 'isolate', 'freeze-host', 'kill-host', 'kill-database'] as const;
/** What makes a change of leaders hard. */
const COMPANIONS = [
  'slow-reload',
  'slow-reload',
  'at-command',
  'at-command',
  'store-lossy',
  'slow-disk',
  'freeze-agent',
  'cut-pair',
  'cut-store',
] as const;

/** Troubles that have just begun when an upheaval comes: most bugs of failover need two things at once. */
function drawStory(random: Random, at: number, scenario: Scenario): readonly Fault[] {
  const companions = Array.from({ length: 1 + random.int(3) }, () => {
    const kind = random.pick(COMPANIONS);
    return { at: Math.round(at + random.between(0, 800)), ...drawFault(random, kind, scenario) };
  });
  const upheaval = drawFault(random, random.pick(UPHEAVALS), scenario);
  const atLeader = 'node' in upheaval ? { ...upheaval, node: 'leader' as const } : upheaval;
  return [...companions, { at: Math.round(at + random.between(300, 1500)), ...atLeader }];
}

function drawTarget(random: Random, nodes: number): Target {
  const draw = random.next();
  if (draw < 0.5) return 'leader';
  return draw < 0.65 ? 'follower' : random.int(nodes);
}

function drawDuration(random: Random): number {
  return Math.round(random.chance(0.5) ? random.between(200, 3000) : random.between(2000, 25_000));
}

function drawFault(random: Random, kind: FaultKind, scenario: Scenario): FaultAction {
  const node = drawTarget(random, scenario.nodes);
  const forMs = drawDuration(random);
  switch (kind) {
    case 'kill-database':
    case 'kill-agent':
    case 'kill-guard':
    case 'wal-removed':
    case 'reinit':
    case 'restart':
      return { kind, node };
    case 'stop-agent':
    case 'kill-host':
    case 'freeze-agent':
    case 'freeze-guard':
    case 'freeze-database':
    case 'freeze-host':
    case 'hang-database':
    case 'disk-full':
    case 'cut-clients':
      return { kind, node, forMs };
    case 'isolate':
      return { kind, node, forMs, clients: random.chance(0.6) ? 'kept' : 'cut' };
    case 'cut-one-way':
    case 'cut-pair':
      return { kind, node, other: random.int(scenario.nodes), forMs };
    case 'cut-store':
      return { kind, node, forMs, direction: random.pick(['both', 'both', 'to', 'from'] as const) };
    case 'slow-disk':
    case 'slow-reload':
      return { kind, node, forMs, extraMs: Math.round(random.between(50, 3000)) };
    default:
      return drawClusterFault(random, kind, scenario, forMs, node);
  }
}

function drawClusterFault(
  random: Random,
  kind: FaultKind,
  scenario: Scenario,
  forMs: number,
  node: Target,
): FaultAction {
  switch (kind) {
    case 'store-down':
      return { kind, forMs, leases: random.chance(0.5) ? 'extended' : 'counted' };
    case 'store-lossy':
      return {
        kind,
        forMs,
        loseRequest: random.between(0, 0.4),
        loseReply: random.between(0, 0.4),
        loseWatch: random.between(0, 0.7),
        // Rarely so long that a request arrives when nobody waits for it any more.
        extraMs: Math.round(random.chance(0.3) ? random.between(1000, 5000) : random.between(0, 900)),
      };
    case 'store-put-back':
      return drawPutBack(random, forMs);
    case 'clock-step':
      return { kind, node, byMs: Math.round(random.between(-14_400_000, 14_400_000)) };
    case 'switchover':
      return {
        kind,
        to: random.chance(0.4) ? null : random.int(scenario.nodes),
        timeoutMs: random.pick([2000, 10_000]),
        scheduledInMs: random.chance(0.15) ? Math.round(random.between(500, 20_000)) : null,
      };
    case 'failover':
      return {
        kind,
        to: random.int(scenario.nodes),
        proof: random.chance(0.15) ? 'override' : 'quorum',
      };
    case 'pause':
      return { kind, forMs };
    case 'config':
      return { kind, change: drawConfigChange(random, scenario) };
    case 'tags':
      return { kind, node, change: drawTags(random) };
    case 'meddle':
      return drawMeddling(random, node);
    case 'meddle-postgres':
      return drawPostgresMeddling(random, node);
    default: {
      const command = random.pick(COMMANDS);
      return {
        kind: 'at-command',
        command,
        purpose: command === 'commit' ? random.pick(PURPOSES) : null,
        moment: random.pick(['before', 'during', 'after'] as const),
        victim: random.pick(['self', 'self', 'self', 'self', 'leader', 'follower'] as const),
        strike: random.pick([
          'crash-agent',
          'freeze-agent',
          'kill-host',
          'kill-database',
          'isolate',
          'isolate-and-crash-agent',
          'freeze-host',
        ] as const),
        forMs,
      };
    }
  }
}

function drawConfigChange(random: Random, { nodes, flavour }: Scenario): Partial<ClusterConfig> {
  switch (random.int(5)) {
    case 0:
      return { requiredAcks: countableAcks(flavour, nodes >= 3 ? random.pick([1, 2]) : 1) };
    case 1:
      return { whenShort: random.pick(['block', 'degrade'] as const) };
    case 2:
      return { durability: random.chance(0.3) ? 'async' : 'sync' };
    case 3:
      return { leaseTtlMs: random.pick([3000, 6000, 10_000]) };
    default:
      return { suspectAfterMs: random.pick([600, 1000, 2000]) };
  }
}
