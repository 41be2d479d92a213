import { nameOf } from '../agent/observe.ts';
import { randomFor } from '../time/random.ts';
import { workingProblem } from './settled.ts';
import type { World } from './world.ts';

const LOOK_EVERY_MS = 250;
const RECOVERS_WITHIN_MS = 40_000;

/**
 * The last test of a run: a healthy, settled cluster loses one host for good. Where enough are left to prove that nothing is lost, it
 * must work on by itself; and the loss of a replica must not cost a leadership.
 */
export function loseOneHost(world: World, runUntil: (until: number) => void): void {
  const { scheduler, checks, scenario } = world;
  const random = randomFor(scenario.seed, 'host-loss');
  const lost = world.nodes[random.int(scenario.nodes)];
  const before = world.record;
  if (lost === undefined || before === null || !isRecoverable(world, nameOf(lost.index))) return;
  const wasLeader = before.leader === nameOf(lost.index);
  if (world.trace.on) world.trace.note('fault', `${nameOf(lost.index)} is lost for good`);
  world.stopHost(lost);
  const lostAt = scheduler.now;
  const ackedThen = checks.counts.acked;
  let problem: string | null = 'not looked yet';
  while (problem !== null && scheduler.now < lostAt + RECOVERS_WITHIN_MS && checks.violations.length === 0) {
    runUntil(scheduler.now + LOOK_EVERY_MS);
    problem = workingProblem(world) ?? (checks.counts.acked > ackedThen + 1 ? null : 'no write is acknowledged');
  }
  if (checks.violations.length > 0) return;
  if (problem !== null) {
    checks.fail('host-loss-not-survived', `${RECOVERS_WITHIN_MS} ms after ${nameOf(lost.index)} was lost: ${problem}`);
  } else if (!wasLeader && world.record?.epoch !== before.epoch) {
    checks.fail('replica-loss-cost-leadership', `${nameOf(lost.index)} was a replica, yet the epoch changed.`);
  }
}

/** Whether those who are left are enough for the configured durability, and may lead. In `async` the lag of the others decides; it is small here. */
function isRecoverable(world: World, lost: string): boolean {
  const config = world.store.content.config?.value;
  if (config === undefined || world.record === null) return false;
  const left = world.nodes.filter((node) => nameOf(node.index) !== lost);
  if (config.durability === 'async') return left.length > 0;
  return config.whenShort === 'degrade' || left.length - 1 >= config.requiredAcks;
}
