/** Faults that must not cost a leadership while durability is `sync`: the server that takes the writes is well all the time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawScenario, type FaultKind, runScenario } from '../src/index.ts';

const HARMLESS: readonly FaultKind[] = [
  'store-down',
  'store-lossy',
  'cut-store',
  'cut-clients',
  'clock-step',
  'kill-agent',
  'freeze-agent',
  'kill-guard',
  'freeze-guard',
  'slow-disk',
  'slow-reload',
];

const SEEDS = 12;

for (const kind of HARMLESS) {
  test(`${kind} alone never moves the leadership`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const options = {
        flavour: null,
        nodes: null,
        durationMs: 120_000,
        durability: 'sync',
        faults: [kind],
        course: null,
      } as const;
      const result = runScenario(drawScenario(seed, options), 'quiet');
      assert.deepEqual(result.violations, [], `seed ${seed}`);
      assert.equal(result.failoversUnderFaults, 0, `seed ${seed}`);
    }
  });
}
