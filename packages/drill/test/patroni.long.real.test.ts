// Goal: `npm run bench:patroni` starts a real Patroni beside a real Understudy, measures both, and leaves nothing behind.
// Method: the command itself, one killed database on either side; then the same, interrupted in the middle of a run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namespacesObjection } from '@understudy/local';
import { z } from 'zod';
import { tightest } from '../src/bench/patroni/config.ts';
import { benchPatroni } from './command.ts';

const side = z.object({
  runs: z.number(),
  outageMs: z.object({ p50: z.number() }),
  acked: z.number(),
  lost: z.number(),
  notCompared: z.number(),
  problems: z.array(z.string()),
});
const reportSchema = z.object({
  versions: z.object({ postgres: z.string(), patroni: z.string() }),
  patroniSettings: z.record(z.string(), z.unknown()),
  floorMs: z.object({ p50: z.number(), runs: z.number() }),
  faults: z.array(z.object({ fault: z.string(), understudy: side, patroni: side })),
});

const skip = namespacesObjection() ?? false;

test('a killed database is measured on both sides, and nothing is left behind', { skip }, async () => {
  const args = ['--faults', 'kill-database', '--runs', '1', '--writers', '6', '--json'];
  const { code, stdout, stderr, traces } = await benchPatroni(args);
  const report = reportSchema.parse(JSON.parse(stdout), { error: () => stderr });
  assert.match(report.versions.postgres, /^15\./);
  assert.match(report.versions.patroni, /^3\./);
  assert.deepEqual(report.patroniSettings, tightest);
  assert.ok(report.floorMs.p50 > 0 && report.floorMs.runs === 1);
  assert.deepEqual(
    report.faults.map(({ fault }) => fault),
    ['kill-database'],
  );
  for (const found of report.faults) {
    for (const { runs, outageMs, acked, lost, notCompared, problems } of [found.understudy, found.patroni]) {
      assert.deepEqual(
        { runs, lost, notCompared, problems },
        { runs: 1, lost: 0, notCompared: 0, problems: [] },
        stderr,
      );
      // Nobody promotes a server in less than nothing: 0 would mean that the fault was not seen.
      assert.ok(outageMs.p50 > 0 && acked > 100, stderr);
    }
  }
  assert.equal(code, 0, stderr);
  assert.deepEqual(traces, []);
});

test('interrupted while Patroni is measured, it ends both clusters and says so', { skip }, async () => {
  let isSent = false;
  const { code, stderr, traces } = await benchPatroni(
    ['--faults', 'kill-host', '--runs', '1', '--writers', '6'],
    (text, interrupt) => {
      if (isSent || !text.includes('kill-host 1/1, Understudy: outage')) return;
      isSent = true;
      interrupt();
    },
  );
  assert.equal(code, 130, stderr);
  assert.match(stderr, /Interrupted; both clusters were ended\./);
  assert.deepEqual(traces, []);
});
