import { nameOf } from '../agent/observe.ts';
import { randomFor } from '../time/random.ts';
import type { SimNode, World } from './world.ts';

const LOOK_EVERY_MS = 250;
const RECOVERS_WITHIN_MS = 40_000;
/** Beyond the session's time: for the leader to see it, and to change its ackers twice. */
const NOTICED_WITHIN_MS = 8000;

/**
 * A last test of some runs: the agent of one replica dies for good while its server goes on receiving, and after a while the leader's host is
 * lost. The others must elect: whoever could not seal is not to be needed for it.
 */
export function loseAgentThenLeader(world: World, runUntil: (until: number) => void): void {
  const { scheduler, checks, scenario } = world;
  const record = world.record;
  const config = world.store.content.config?.value;
  if (record === null || config === undefined || record.durability !== 'sync') return;
  const leader = world.nodes.find((node) => nameOf(node.index) === record.leader);
  const others = world.nodes.filter((node) => node !== leader);
  const mute = others[randomFor(scenario.seed, 'silent-acker').int(others.length)];
  // Too few others to acknowledge in its place: it stays, and there is only a warning.
  if (leader === undefined || mute === undefined || others.length - 1 < config.requiredAcks) return;
  if (world.trace.on) world.trace.note('fault', `the agent of ${nameOf(mute.index)} is lost for good`);
  loseAgent(mute);
  runUntil(scheduler.now + config.leaseTtlMs + NOTICED_WITHIN_MS);
  if (checks.violations.length > 0) return;
  if (world.record?.epoch !== record.epoch) {
    checks.fail('replica-loss-cost-leadership', `${nameOf(mute.index)} lost its agent, yet the epoch changed.`);
    return;
  }
  world.stopHost(leader);
  if (world.trace.on) world.trace.note('fault', `${record.leader} is lost for good`);
  const lostAt = scheduler.now;
  while (checks.violations.length === 0 && scheduler.now < lostAt + RECOVERS_WITHIN_MS) {
    runUntil(scheduler.now + LOOK_EVERY_MS);
    if (world.record?.phase === 'open' && world.record.leader !== record.leader) return;
  }
  if (checks.violations.length > 0) return;
  checks.fail(
    'silent-acker-missed',
    `${RECOVERS_WITHIN_MS} ms after ${record.leader} was lost nobody leads: ${nameOf(mute.index)} has had no agent for long before.`,
  );
}

/** Agent and guard end and are not brought back; the server goes on. */
function loseAgent(node: SimNode): void {
  node.guard.process.end();
  node.agent.crash();
}
