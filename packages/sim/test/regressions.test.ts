/** Scenarios that once broke a promise, replayed for ever. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { REGRESSIONS, readRegression } from '../src/cli/scenario-file.ts';
import { runScenario } from '../src/index.ts';

for (const file of readdirSync(REGRESSIONS).filter((name) => name.endsWith('.json'))) {
  test(file, () => {
    const { scenario, story } = readRegression(`${REGRESSIONS}${file}`);
    assert.deepEqual(runScenario(scenario, 'quiet').violations, [], story);
  });
}
