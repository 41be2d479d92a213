/** Stores that are put back, emptied, and a loss of power of all hosts: nothing acknowledged is lost, and an operator gets the cluster back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawScenario, type Fault, runScenario } from '../src/index.ts';
import { PUT_BACK_MUTANTS } from '../src/mutants/put-back-mutants.ts';

const SEEDS = 8;

const powerLoss = (agoMs: number | 'all'): readonly Fault[] => [
  { at: 0, kind: 'switchover', to: null, timeoutMs: 10_000, scheduledInMs: null },
  { at: 5000, kind: 'kill-database', node: 'leader' },
  { at: 9000, kind: 'store-put-back', agoMs, hosts: 'lose-power', forMs: 1500 },
];

const courses: readonly (readonly [string, readonly Fault[]])[] = [
  ...PUT_BACK_MUTANTS.map(({ name, hunt }) => [name, hunt.course?.faults ?? []] as const),
  ['an older epoch, with a loss of power', powerLoss(7000)],
  ['an empty store, with a loss of power', powerLoss('all')],
  ['an intact store, with a loss of power', powerLoss(0)],
  [
    'an empty store under a running primary',
    [{ at: 0, kind: 'store-put-back', agoMs: 'all', hosts: 'stay', forMs: 0 }],
  ],
];

for (const [name, faults] of courses) {
  test(`nothing is lost, and everybody is back in the end: ${name}`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const course = { everyMs: 45_000, faults };
      const options = {
        flavour: null,
        nodes: 3,
        durationMs: 90_000,
        durability: 'sync',
        faults: null,
        course,
      } as const;
      const drawn = drawScenario(seed, options);
      const { violations } = runScenario({ ...drawn, config: { ...drawn.config, whenShort: 'block' } }, 'quiet');
      assert.deepEqual(violations, [], `seed ${seed}`);
    }
  });
}
