import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DrillError } from '../src/errors.ts';
import { faultNames } from '../src/faults/fault.ts';
import { faults } from '../src/faults/index.ts';
import { defaultFaults, parseCommandLine } from '../src/options.ts';

const drill = (...args: string[]) => {
  const line = parseCommandLine(args);
  assert.equal(line.kind, 'drill');
  return line;
};

test('without options: every fault of the figures, five times', () => {
  const { options, output } = drill();
  assert.deepEqual(
    [options.faults, options.runs, options.store, options.nodes, output],
    [[...defaultFaults], 5, 'local', 3, 'text'],
  );
});

test('options are read', () => {
  const { options, output } = drill(
    '--faults',
    'freeze, kill-all',
    '--runs',
    '20',
    '--store',
    'etcd',
    '--pg-version',
    '17',
    '--json',
  );
  assert.deepEqual(
    [options.faults, options.runs, options.store, options.pgVersion, output],
    [['freeze', 'kill-all'], 20, 'etcd', '17', 'json'],
  );
});

test('an engine, with the version of its server', () => {
  const { options } = drill('--engine', 'mariadb', '--server-version', '10.11');
  assert.deepEqual([options.engine, options.serverVersion, options.pgVersion], ['mariadb', '10.11', undefined]);
  assert.equal(drill().options.engine, 'postgres');
});

test('members of etcd: a number, or one on each host', () => {
  const members = (...args: string[]) => drill('--store', 'etcd', ...args).options.etcdMembers;
  assert.deepEqual([members(), members('--etcd-members', '3'), members('--etcd-members', 'hosts')], [1, 3, 'hosts']);
});

test('"all" means every fault there is, and each is known', () => {
  assert.deepEqual(drill('--faults', 'all').options.faults, [...faultNames]);
  assert.deepEqual([...faults.keys()], [...faultNames]);
});

for (const [args, text] of [
  [['--faults', 'kill-everything'], /--faults: is not one of kill-database/],
  [['--runs', 'many'], /--runs/],
  [['--runs', '0'], /--runs/],
  [['--store', 'consul'], /--store/],
  [['--pg-version', '17.2'], /--pg-version: must be a major version/],
  [['--engine', 'mysql', '--pg-version', '17'], /--pg-version: is for PostgreSQL/],
  [['--server-version', '17', '--pg-version', '17'], /--pg-version: is for PostgreSQL, and alone/],

  [['--engine', 'oracle'], /--engine/],
  [['--store', 'etcd', '--etcd-members', '2'], /--etcd-members: is none of 1, 3 and hosts/],
  [['--etcd-members', 'hosts'], /--etcd-members: hosts needs --store etcd and three nodes/],
  [['--store', 'etcd', '--etcd-members', 'hosts', '--nodes', '2'], /--etcd-members: hosts needs .* three nodes/],
  [['--load', 'much'], /--load: is not a whole number/],
  [['--frobnicate'], /frobnicate/],
  [['freeze'], /freeze/],
] as const) {
  test(`refused with a reason: ${args.join(' ')}`, () => {
    assert.throws(
      () => parseCommandLine(args),
      (error) => error instanceof DrillError && error.code === 'OPTION_INVALID' && text.test(error.message),
    );
  });
}
