import { nameOf } from '../agent/observe.ts';
import { randomFor } from '../time/random.ts';
import { settledProblem } from './settled.ts';
import type { World } from './world.ts';

const LOOK_EVERY_MS = 250;
const TIMEOUT_MS = 10_000;
/** Opening, and whole again with everybody below the new leader. */
const WHOLE_WITHIN_MS = 30_000;
/** What comes next meets a settled cluster again. */
const AFTERMATH_MS = 12_000;

/** In a healthy, settled cluster an operator asks for a switchover to a member. Nothing is in the way, so that one has to lead. */
export function switchOver(world: World, runUntil: (until: number) => void): void {
  const { scheduler, checks, scenario, store, record } = world;
  if (record === null || settledProblem(world, { ackedAtHealing: -1 }) !== null) return;
  const others = world.nodes.map(({ index }) => nameOf(index)).filter((name) => name !== record.leader);
  const target = randomFor(scenario.seed, 'planned target').pick(others);
  if (world.trace.on) world.trace.note('fault', `an operator asks for a switchover to ${target}`);
  const request = { kind: 'switchover', id: 'planned', from: record.leader, to: target } as const;
  store.administer([{ key: 'request', value: { ...request, notBeforeWallMs: null, timeoutMs: TIMEOUT_MS } }]);
  const askedAt = scheduler.now;
  const ackedThen = checks.counts.acked;
  let problem: string | null = 'not looked yet';
  while (problem !== null && scheduler.now < askedAt + TIMEOUT_MS + WHOLE_WITHIN_MS && checks.violations.length === 0) {
    runUntil(scheduler.now + LOOK_EVERY_MS);
    problem = settledProblem(world, { ackedAtHealing: ackedThen });
  }
  if (checks.violations.length > 0) return;
  const leader = world.record?.leader;
  if (leader === target && problem === null) {
    runUntil(scheduler.now + AFTERMATH_MS);
    return;
  }
  const outcome = store.registers.outcomes.find(({ id }) => id === request.id);
  const ended = outcome === undefined ? 'the request has no end' : `${outcome.result}, ${outcome.reason}`;
  checks.fail('switchover-missed', `${leader} leads, asked for was ${target}: ${problem ?? 'all is well'}; ${ended}`);
}
