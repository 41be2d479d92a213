import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patroniConfig, tightest } from '../src/bench/patroni/config.ts';
import { failed, type Measured } from '../src/bench/patroni/measured.ts';
import { parsePatroniArgs } from '../src/bench/patroni/options.ts';
import {
  type Comparison,
  comparisonJson,
  comparisonTable,
  isUnsound,
  ratioOf,
  summaryOf,
} from '../src/bench/patroni/report.ts';

const run = (outageMs: number, over: Partial<Measured> = {}): Measured => ({
  outageMs,
  acked: 100,
  lost: 0,
  resurrected: 0,
  unknown: 2,
  dualAck: 0,
  problems: [],
  ...over,
});

function comparison(understudy: readonly Measured[], patroni: readonly Measured[]): Comparison {
  return {
    machine: 'a machine',
    versions: { postgres: '15.18', patroni: '3.0.2', etcd: '3.5.16' },
    patroniSettings: tightest,
    writers: 20,
    floor: { runs: 3, minMs: 80, p50Ms: 100, maxMs: 120 },
    faults: [{ fault: 'kill-host', understudy: summaryOf(understudy), patroni: summaryOf(patroni) }],
  };
}

test('outages are given in milliseconds, in floors and as a ratio of the middle ones', () => {
  const found = comparison([run(900), run(1000), run(1100)], [run(20_000), run(21_000), run(22_000)]);
  const row = comparisonTable(found)
    .split('\n')
    .find((line) => line.startsWith('kill-host'));
  assert.deepEqual(row?.split(/ {2,}/), [
    'kill-host',
    '3',
    '900 / 1000 / 1100',
    '10.0',
    '20000 / 21000 / 22000',
    '210.0',
    '21.0',
    '0, 0',
    '6, 6',
    '0, 0',
  ]);
  assert.match(JSON.stringify(comparisonJson(found)), /"patroniPerUnderstudy":21[,}]/);
  assert.equal(isUnsound(found), false);
});

test('a run that could not be carried through is no outage of 0 ms, and is told of', () => {
  const found = comparison([run(900), run(1000)], [run(20_000), failed('no leader')]);
  const [fault] = found.faults;
  assert.deepEqual(fault?.patroni.outageMs, { min: 20_000, p50: 20_000, max: 20_000 });
  assert.deepEqual([fault?.patroni.runs, fault?.patroni.notCompared], [1, 1]);
  const table = comparisonTable(found);
  assert.match(table, /0, 0\+\?/);
  assert.match(table, /kill-host, Patroni: no leader/);
  assert.equal(isUnsound(found), true);
  const none = comparison([run(900)], [failed('no leader')]);
  assert.equal(none.faults[0] === undefined ? undefined : ratioOf(none.faults[0]), null);
});

test("only Understudy's own losses make the benchmark fail", () => {
  assert.equal(isUnsound(comparison([run(900, { lost: 1 })], [run(20_000)])), true);
  assert.equal(isUnsound(comparison([run(900, { dualAck: 1 })], [run(20_000)])), true);
  assert.equal(isUnsound(comparison([run(900)], [run(20_000, { lost: 1 })])), false);
});

test("Patroni's own rule for its times is kept", () => {
  assert.ok(tightest.loop_wait + 2 * tightest.retry_timeout <= tightest.ttl);
  const text = patroniConfig({
    name: 'p1',
    address: '10.0.0.11',
    storeUrl: { host: '10.0.0.14', port: 2379 },
    dataDir: '/d/p1/data',
    socketFolder: '/d/p1/run',
    passFile: '/d/p1/pgpass',
    binDir: '/d/bin',
    passwords: { superuser: 'a', replication: 'b' },
  });
  const parsed: unknown = JSON.parse(text);
  assert.ok(typeof parsed === 'object' && parsed !== null && 'bootstrap' in parsed);
  assert.match(
    JSON.stringify(parsed.bootstrap),
    /"dcs":\{"ttl":20,"loop_wait":1,"retry_timeout":3,"primary_start_timeout":0,"synchronous_mode":true,/,
  );
});

test('options: defaults, lists, and what is wrong is named with the next step', () => {
  assert.deepEqual(parsePatroniArgs(['--runs', '2', '--faults', 'kill-host, switchover', '--json']), {
    kind: 'compare',
    options: { faults: ['kill-host', 'switchover'], runs: 2, writers: 20 },
    output: 'json',
  });
  assert.deepEqual(parsePatroniArgs(['--help']), { kind: 'help' });
  const next = 'See `npm run bench:patroni -- --help`.';
  for (const [args, message] of [
    [['--faults', 'store-down'], /--faults: is not one of kill-database/],
    [['--runs', 'many'], /--runs: is not a whole number from 1 to 1000\./],
    [['--writers', '0'], /--writers: is not a whole number from 1 to 200\./],
    [['--nodes', '5'], /--nodes/],
    [['three'], /three/],
  ] as const) {
    assert.throws(() => parsePatroniArgs(args), { code: 'OPTION_INVALID', message });
    assert.throws(
      () => parsePatroniArgs(args),
      (error: Error) => error.message.endsWith(next),
    );
  }
});
