import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namespacesObjection } from '@understudy/local';
import { defaultFaults } from '../src/options.ts';
import { drill } from './command.ts';
import { reportSchema } from './report-schema.ts';

test('every fault of the figures once: nothing is lost, all nodes come together, nothing is left behind', async () => {
  const { code, stdout, stderr, traces } = await drill([
    '--runs',
    '1',
    '--calm-ms',
    '700',
    '--floor-runs',
    '1',
    '--json',
  ]);
  const report = reportSchema.parse(JSON.parse(stdout), { error: () => stderr });
  const expected = defaultFaults.filter((name) => name !== 'partition' || namespacesObjection() === null);
  assert.deepEqual(
    report.faults.map(({ fault }) => fault),
    expected,
    stderr,
  );
  for (const result of report.faults) {
    const { fault, lost, resurrected, dualAck, converged, acked } = result;
    assert.deepEqual(
      { fault, lost, resurrected, dualAck, converged },
      { fault, lost: 0, resurrected: 0, dualAck: 0, converged: true },
      stderr,
    );
    assert.ok(acked > 100, `${fault}: only ${acked} writes`);
  }
  assert.equal(report.floorMs?.runs, 1);
  assert.equal(code, 0, stderr);
  assert.deepEqual(traces, []);
});

// The layout of the guide for three hosts: a host that is lost takes its member of etcd along, here together with the two others.
test('etcd on the hosts: the store and the primary are lost together, and nothing of what was acknowledged', async (t) => {
  const objection = namespacesObjection();
  if (objection !== null) return t.skip(objection);
  const layout = ['--store', 'etcd', '--etcd-members', 'hosts', '--faults', 'kill-host,kill-host-and-store'];
  const rest = ['--runs', '1', '--calm-ms', '500', '--floor-runs', '0', '--writers', '6', '--json'];
  const { code, stdout, stderr, traces } = await drill([...layout, ...rest]);
  const report = reportSchema.parse(JSON.parse(stdout), { error: () => stderr });
  const seen = report.faults.map(({ fault, lost, resurrected, dualAck, converged }) => {
    return { fault, lost, resurrected, dualAck, converged };
  });
  const good = { lost: 0, resurrected: 0, dualAck: 0, converged: true };
  assert.deepEqual(
    seen,
    ['kill-host', 'kill-host-and-store'].map((fault) => ({ fault, ...good })),
    stderr,
  );
  const [, withStore] = report.faults;
  assert.ok((withStore?.outageMs.min ?? 0) >= 2000, 'nobody can have taken over while there was no store');
  assert.equal(code, 0, stderr);
  assert.deepEqual(traces, []);
});

test('an interrupted drill heals, ends everything and says so', async () => {
  let isSent = false;
  const { code, stderr, traces } = await drill(
    ['--faults', 'kill-replica', '--runs', '5', '--calm-ms', '500', '--floor-runs', '0'],
    (text, kill) => {
      // After the first run there is a cluster with a workload, and a second run has begun.
      if (isSent || !text.includes('kill-replica 1/5')) return;
      isSent = true;
      kill();
    },
  );
  assert.equal(code, 130, stderr);
  assert.match(stderr, /Interrupted; the cluster was ended\./);
  assert.deepEqual(traces, []);
});

test('a wrong option is refused before anything is started', async () => {
  const { code, stderr, traces } = await drill(['--faults', 'meteorite']);
  assert.equal(code, 2);
  assert.match(stderr, /--faults: is not one of kill-database/);
  assert.deepEqual(traces, []);
});
