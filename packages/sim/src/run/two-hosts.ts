import { nameOf } from '../agent/observe.ts';
import { randomFor } from '../time/random.ts';
import { workingProblem } from './settled.ts';
import type { World } from './world.ts';

const LOOK_EVERY_MS = 250;
const RECOVERS_WITHIN_MS = 40_000;

/**
 * A last test of some runs with five nodes or more: the leader's host and another one are lost at the same moment. As many as are not
 * needed to prove anything may go with the leader; with two acknowledgements asked for, anybody.
 */
export function loseTwoHosts(world: World, runUntil: (until: number) => void): void {
  const { scheduler, checks, scenario, record } = world;
  const config = world.store.content.config?.value;
  if (record === null || config === undefined || record.durability !== 'sync' || config.whenShort === 'degrade') return;
  const leader = world.nodes.find((node) => nameOf(node.index) === record.leader);
  const others = world.nodes.filter((node) => node !== leader);
  const spare = others.filter((node) => !record.rule.members.includes(nameOf(node.index)));
  if (record.rule.required === 1 && spare.length === 0) {
    checks.fail('too-many-ackers', `All ${others.length} replicas are needed to prove that nothing is lost.`);
    return;
  }
  const among = record.rule.required === 1 ? spare : others;
  const second = among[randomFor(scenario.seed, 'two-hosts').int(among.length)];
  if (leader === undefined || second === undefined) return;
  if (world.trace.on) world.trace.note('fault', `${record.leader} and ${nameOf(second.index)} are lost for good`);
  world.stopHost(leader);
  world.stopHost(second);
  const lostAt = scheduler.now;
  const ackedThen = checks.counts.acked;
  let problem: string | null = 'not looked yet';
  while (problem !== null && scheduler.now < lostAt + RECOVERS_WITHIN_MS && checks.violations.length === 0) {
    runUntil(scheduler.now + LOOK_EVERY_MS);
    problem = workingProblem(world) ?? (checks.counts.acked > ackedThen + 1 ? null : 'no write is acknowledged');
  }
  if (checks.violations.length > 0 || problem === null) return;
  const lost = `${record.leader} and ${nameOf(second.index)}`;
  checks.fail('two-hosts-not-survived', `${RECOVERS_WITHIN_MS} ms after ${lost} were lost together: ${problem}`);
}
