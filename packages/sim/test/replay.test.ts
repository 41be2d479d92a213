/** One scenario is one run: the same events in the same order, however often it is run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawScenario, formatLine, runScenario } from '../src/index.ts';

const options = { flavour: null, nodes: null, durationMs: 60_000, durability: null, faults: null, course: null };

test('the same seed gives the same run, line by line', () => {
  for (const seed of [3, 17, 42]) {
    const runs = [1, 2].map(() => runScenario(drawScenario(seed, options), 'trace'));
    const [first, second] = runs.map((run) => run.trace.map(formatLine));
    assert.deepEqual(first, second);
    assert.equal(runs[0]?.events, runs[1]?.events);
    assert.ok((first?.length ?? 0) > 20, 'something happened');
  }
});

test('whether a run is traced makes no difference to it', () => {
  const scenario = drawScenario(5, options);
  const quiet = runScenario(scenario, 'quiet');
  const traced = runScenario(scenario, 'trace');
  assert.equal(quiet.events, traced.events);
  assert.equal(quiet.acks, traced.acks);
});

test('a fault that is taken away does not move the others', () => {
  const scenario = drawScenario(9, options);
  const fewer = { ...scenario, faults: scenario.faults.slice(1) };
  const times = runScenario(fewer, 'trace')
    .trace.filter((line) => line.who === 'fault' && line.atMs < scenario.durationMs)
    .map((line) => line.atMs);
  for (const fault of fewer.faults) assert.ok(times.includes(fault.at), `${fault.kind} at ${fault.at}`);
});
