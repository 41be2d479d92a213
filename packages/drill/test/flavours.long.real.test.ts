// Goal: the drill finds nothing wrong on MySQL and MariaDB, also with the faults that replication gets wrong, and the tour carries real
// tables through a kill, a switchover and a rejoin. Method: the real command, as a user runs it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drill } from './command.ts';
import { reportSchema } from './report-schema.ts';

const own = ['restart-primary-in-place', 'semi-sync-replica-loss', 'replica-relay-corrupt'];

test('mariadb: a restart in place, the loss of all acknowledgers, a damaged relay log: nothing is lost or acknowledged by nobody', async () => {
  const args = [
    '--engine',
    'mariadb',
    '--faults',
    own.join(','),
    '--runs',
    '1',
    '--calm-ms',
    '500',
    '--writers',
    '6',
    '--json',
  ];
  const { code, stdout, stderr, traces } = await drill(args);
  const report = reportSchema.parse(JSON.parse(stdout), { error: () => stderr });
  const seen = report.faults.map(({ fault, lost, resurrected, dualAck, unprotected, converged, problems }) => {
    return { fault, lost, resurrected, dualAck, unprotected, converged, problems };
  });
  const good = { lost: 0, resurrected: 0, dualAck: 0, unprotected: 0, converged: true, problems: [] };
  assert.deepEqual(
    seen,
    own.map((fault) => ({ fault, ...good })),
    stderr,
  );
  const blocked = report.faults.find(({ fault }) => fault === 'semi-sync-replica-loss');
  assert.ok((blocked?.outageMs.min ?? 0) >= 4000, 'writes waited while no acknowledger was there');
  assert.equal(code, 0, stderr);
  assert.deepEqual(traces, []);
});

test('mysql: the tour ends with equal checksums of all tables on all nodes', async () => {
  const { code, stdout, stderr, traces } = await drill(['--engine', 'mysql', '--tour', '--json']);
  assert.equal(code, 0, stderr);
  const { steps } = JSON.parse(stdout);
  const results = steps.map(
    ({ step, result }: { step: string; result: string }) => `${step.split('(')[0]?.trim()}: ${result}`,
  );
  for (const fault of ['kill-database', 'switchover', 'kill-replica']) {
    assert.ok(
      results.some((text: string) => text.endsWith(`through ${fault}: passed`)),
      results.join('\n'),
    );
  }
  assert.ok(!results.some((text: string) => text.endsWith(': failed')), stderr);
  assert.match(steps.at(-1).text, /orders acknowledged.*; \d+ tables are equal on 3 nodes$/);
  assert.deepEqual(traces, []);
});
