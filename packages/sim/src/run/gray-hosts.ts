import type { ClusterConfig, LeadershipRecord } from '@understudy/core';
import { nameOf } from '../agent/observe.ts';
import { freezeServer, kill, thawServer } from '../server/lifecycle.ts';
import { endSender } from '../server/stream.ts';
import { workingProblem } from './settled.ts';
import type { SimNode, World } from './world.ts';

const LOOK_EVERY_MS = 250;
const REPLACED_WITHIN_MS = 30_000;
const UNHEARD_MS = 5000;
const MOST_DOUBLINGS = 6;
/** Shorter than the time of grace of an acker: the leader must not have changed its rule yet. */
const BEHIND_FOR_MS = 1200;

interface Scene {
  readonly leader: SimNode;
  readonly others: readonly SimNode[];
  readonly record: LeadershipRecord;
  readonly config: ClusterConfig;
}

/** Null where the cluster is not one that has to replace its leader by itself without it. */
function sceneOf({ record, nodes, store }: World): Scene | null {
  const config = store.content.config?.value;
  if (record === null || config === undefined || record.durability !== 'sync' || config.durability !== 'sync')
    return null;
  const leader = nodes.find((node) => nameOf(node.index) === record.leader);
  const others = nodes.filter((node) => node !== leader);
  if (leader === undefined || config.whenShort === 'degrade' || others.length <= config.requiredAcks) return null;
  return { leader, others, record, config };
}

/** A last test of some runs: nobody can replicate from the leader any more, and everything else works. Another one has to lead. */
export function letNobodyReplicate(world: World, runUntil: (until: number) => void): void {
  const scene = sceneOf(world);
  if (scene === null) return;
  const { server } = scene.leader;
  note(world, `nobody can replicate from ${scene.record.leader} any more`);
  server.trouble.unreachable += 1;
  for (const stream of [...server.senders]) endSender(stream);
  const patienceMs = UNHEARD_MS * 2 ** Math.min(scene.record.unrest ?? 0, MOST_DOUBLINGS);
  requireAnother(world, scene, REPLACED_WITHIN_MS + patienceMs, runUntil);
}

/** Another one: the leader's server hangs and cannot be killed. It goes on when another leads. */
export function hangLeader(world: World, runUntil: (until: number) => void): void {
  const scene = sceneOf(world);
  // Its own host is needed for nothing, but it is there: so there have to be enough without it.
  if (scene === null) return;
  const { server } = scene.leader;
  note(world, `${scene.record.leader}'s server hangs, and cannot be killed`);
  server.trouble.unkillable += 1;
  freezeServer(server);
  const problem = another(world, REPLACED_WITHIN_MS, runUntil, () => opened(world, scene));
  server.trouble.unkillable -= 1;
  thawServer(server);
  if (problem === null) requireAnother(world, scene, REPLACED_WITHIN_MS, runUntil);
  else fail(world, scene, problem);
}

/** Another one: the leader's server and agent die, and the next agent answers those who connect without ever coming to its first look. */
export function leaveAgentMute(world: World, runUntil: (until: number) => void): void {
  const scene = sceneOf(world);
  if (scene === null) return;
  const { agent, guard, server } = scene.leader;
  note(world, `${scene.record.leader}'s server dies, and its next agent says nothing`);
  guard.process.end();
  kill(server);
  agent.crash();
  agent.startMute();
  const problem = another(world, REPLACED_WITHIN_MS, runUntil, () => opened(world, scene));
  if (problem !== null) fail(world, scene, problem);
}

/** Another one: of two ackers the furthest cannot open, and the leader is lost at that moment. The other one has to get what it lacks. */
export function loseLeaderBesideBroken(world: World, runUntil: (until: number) => void): void {
  const scene = sceneOf(world);
  if (scene === null || scene.record.rule.required !== 1) return;
  const ackers = scene.others.filter((node) => scene.record.rule.members.includes(nameOf(node.index)));
  const [behind, broken] = ackers;
  if (ackers.length !== 2 || behind === undefined || broken === undefined) return;
  note(world, `${nameOf(broken.index)} cannot open any more, and ${nameOf(behind.index)} falls behind`);
  broken.server.trouble.cannotOpen += 1;
  const link = [scene.leader.index, behind.index] as const;
  world.net.cut(...link);
  runUntil(world.scheduler.now + BEHIND_FOR_MS);
  world.stopHost(scene.leader);
  world.net.heal(...link);
  note(world, `${scene.record.leader} is lost for good`);
  const problem = another(world, REPLACED_WITHIN_MS, runUntil, () => opened(world, scene));
  if (problem !== null) fail(world, scene, problem);
}

const note = (world: World, what: string): void => {
  if (world.trace.on) world.trace.note('fault', what);
};

/** What is missing until another node has opened. */
function opened({ record }: World, scene: Scene): string | null {
  if (record === null || record.leader === scene.record.leader) return `${scene.record.leader} is still recorded`;
  return record.phase === 'open' ? null : `${record.leader} has not opened`;
}

function requireAnother(world: World, scene: Scene, withinMs: number, runUntil: (until: number) => void): void {
  const ackedThen = world.checks.counts.acked;
  const problem = another(world, withinMs, runUntil, () => {
    // Where the old leader is to be an intermediate, nobody gets below it either.
    const isTree = Object.keys(scene.config.upstreams).length > 0;
    const missing = opened(world, scene) ?? (isTree ? null : workingProblem(world));
    return missing ?? (world.checks.counts.acked > ackedThen + 1 ? null : 'no write is acknowledged');
  });
  if (problem !== null) fail(world, scene, problem);
}

/** Runs until nothing is missing any more. @returns what is, in the end */
function another(
  { scheduler, checks }: World,
  withinMs: number,
  runUntil: (until: number) => void,
  missing: () => string | null,
): string | null {
  const began = scheduler.now;
  let problem = missing();
  while (problem !== null && scheduler.now < began + withinMs && checks.violations.length === 0) {
    runUntil(scheduler.now + LOOK_EVERY_MS);
    problem = missing();
  }
  return checks.violations.length > 0 ? null : problem;
}

function fail({ checks }: World, { record }: Scene, problem: string): void {
  checks.fail('gray-leader-stays', `${record.leader} should have been replaced: ${problem}`);
}
