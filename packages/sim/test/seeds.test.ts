/** Many seeds, no violation: the short version of `npm run sim -- --seeds 2000`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runMain } from './support/run-main.ts';

const SEEDS = 300;

test(`${SEEDS} seeds of all faults keep every promise and recover`, async (context) => {
  const { code, output, errors } = await runMain(['--seeds', String(SEEDS)], context.signal);
  assert.equal(code, 0, `${output}\n${errors}`);
  assert.match(output, /violations +none/);
});

test('the report counts what was tried', async (context) => {
  const { code, output } = await runMain(['--seeds', '8', '--duration', '60', '--json'], context.signal);
  assert.equal(code, 0);
  const report = JSON.parse(output);
  assert.equal(report.seeds, 8);
  assert.ok(report.simulatedHours > 0.1);
  assert.ok(report.events > 1000);
  assert.deepEqual(report.violations, []);
  assert.ok(Object.keys(report.faults).length > 5);
});

test('a wrong option is named, with the usage', async (context) => {
  const { code, errors } = await runMain(['--nodes', 'many'], context.signal);
  assert.equal(code, 2);
  assert.match(errors, /--nodes must be a whole number from 2 to 9, not "many"/);
});
