/**
 * Goal: at level `session` nobody reads older than what they wrote or saw, or they are told. Method: random lives of a cluster with
 * failovers, forced ones, lost tails, rewinds, old primaries that live on, and a router that hears of all that late; each read is compared
 * with what the server that was chosen really shows.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { World } from './support/world.ts';

const share = fc.constantFrom(0, 30, 100);
const which = fc.nat(2);
const draw = fc.double({ min: 0, max: 0.999, noNaN: true });

/** What happens next: the name of a step and its arguments, so that a counterexample can be read. */
const aStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      write: fc.tuple(which, fc.integer({ min: 8, max: 90 }), fc.constantFrom(0, 0, 40), fc.boolean()),
    }),
  },
  { weight: 8, arbitrary: fc.record({ replicate: fc.tuple(which, share, share) }) },
  { weight: 8, arbitrary: fc.record({ hear: fc.tuple(which, fc.boolean()) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      failover: fc.tuple(
        which,
        fc.nat(5).map((dice) => dice === 0),
        fc.boolean(),
      ),
    }),
  },
  { weight: 4, arbitrary: fc.record({ ask: fc.tuple(fc.nat(1)) }) },
  { weight: 2, arbitrary: fc.record({ liveOn: fc.tuple(fc.constantFrom(20, 300, 900)) }) },
  { weight: 2, arbitrary: fc.record({ rejoin: fc.tuple(which) }) },
  { weight: 10, arbitrary: fc.record({ read: fc.tuple(which, fc.tuple(draw, draw), fc.constantFrom(0, 30)) }) },
);
type Step = typeof aStep extends fc.Arbitrary<infer Value> ? Value : never;

function run(world: World, step: Step): readonly number[] {
  if ('write' in step) world.write(...step.write);
  else if ('replicate' in step) world.replicate(...step.replicate);
  else if ('hear' in step) world.hear(...step.hear);
  else if ('failover' in step) world.failover(...step.failover);
  else if ('rejoin' in step) world.rejoin(...step.rejoin);
  else if ('ask' in step) world.ask(...step.ask);
  else if ('liveOn' in step) world.liveOn(...step.liveOn);
  else return world.read(...step.read);
  return [];
}

for (const durability of ['sync', 'async'] as const) {
  test(`${durability}: every read shows what its session wrote and saw, or says that it is lost`, () => {
    const totals = { replica: 0, guarded: 0, primary: 0, held: 0, lost: 0 };
    fc.assert(
      fc.property(fc.array(aStep, { minLength: 20, maxLength: 120 }), (steps) => {
        const world = new World(durability);
        for (const [index, step] of steps.entries()) {
          assert.deepEqual(run(world, step), [], `step ${index}`);
        }
        for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += world.counts[key];
      }),
      { numRuns: 1500 },
    );
    // Else it would be safe because nothing happened.
    const { guarded, ...others } = totals;
    for (const [what, count] of Object.entries(others)) assert.ok(count > 0, `${what}: ${count}`);
    assert.equal(guarded > 0, durability === 'sync');
  });
}
