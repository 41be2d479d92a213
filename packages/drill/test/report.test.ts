import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spread } from '../src/check/summary.ts';
import { faultReport, isViolated, reportJson, timesFloor, underLoad } from '../src/report/report.ts';
import { renderTable } from '../src/report/table.ts';
import type { RunResult } from '../src/run/one.ts';

const plain = (text: string): string => text;

const good: RunResult = {
  tried: [],
  outage: { outageMs: 400, calmMs: 30, longestMs: 400, span: { fromMs: 0, toMs: 400 } },
  phases: { detect: 10, seal: 20, choose: 30, promote: 40, reconnect: null },
  acked: 1000,
  unknown: 3,
  dualAck: 0,
  unprotected: 0,
  dualWritableMs: 0,
  convergence: { kind: 'converged', leader: 'n2', tookMs: 900 },
  contents: { compared: 'all-nodes', lost: 0, resurrected: 0, unexpected: 0, recovered: 2, problems: [] },
  problems: [],
};

const outage = (outageMs: number): RunResult => ({ ...good, outage: { ...good.outage, outageMs } });

test('figures over runs', () => {
  const report = faultReport('kill-host', [outage(300), outage(900), outage(500)]);
  assert.deepEqual(report.outageMs, { min: 300, p50: 500, max: 900 });
  assert.deepEqual(report.phasesMs, { detect: 10, seal: 20, choose: 30, promote: 40, reconnect: null });
  assert.deepEqual([report.runs, report.acked, report.unknown, report.converged], [3, 3000, 9, true]);
  assert.equal(isViolated(report), false);
});

test('anything lost, resurrected, unexpected or acknowledged twice is a violation', () => {
  const contents = (given: Partial<RunResult['contents']>): RunResult => ({
    ...good,
    contents: { ...good.contents, ...given },
  });
  for (const bad of [
    contents({ lost: 1 }),
    contents({ resurrected: 1 }),
    contents({ unexpected: 1 }),
    { ...good, dualAck: 1 },
    { ...good, unprotected: 1 },
  ]) {
    assert.equal(isViolated(faultReport('freeze', [good, bad])), true);
  }
});

test('what was not compared is no proof that nothing was lost, and is not shown as one', () => {
  const blind: RunResult = { ...good, contents: { ...good.contents, compared: 'none' } };
  const report = faultReport('freeze', [good, blind]);
  assert.deepEqual([report.notCompared, isViolated(report)], [1, true]);
  const table = (faults: readonly ReturnType<typeof faultReport>[]): string =>
    renderTable(
      { engine: 'mariadb', version: '11.8', store: 'local', durability: 'sync', machine: 'm', floor: null, faults },
      plain,
    );
  assert.match(table([report]), /freeze .* 0\+\? +0\+\? /);
  assert.match(table([faultReport('freeze', [blind])]), /freeze .* \? +\? /);
});

test('a cluster that is not whole, or whose nodes differ, has not converged', () => {
  const broken: RunResult = {
    ...good,
    convergence: { kind: 'not-converged', why: 'after 60 s' },
    problems: ['not converged'],
  };
  const differing: RunResult = { ...good, problems: ['n3 differs from n1: 3 rows; 4 rows'] };
  assert.equal(faultReport('freeze', [good, broken]).converged, false);
  assert.equal(faultReport('freeze', [differing]).converged, false);
  assert.equal(faultReport('freeze', []).converged, false);
});

test('the table has a line for each fault', () => {
  const faults = [faultReport('kill-host', [good])];
  const text = renderTable(
    { engine: 'postgres', version: '17.10', store: 'local', durability: 'sync', machine: 'm', floor: null, faults },
    plain,
  );
  assert.match(text, /^kill-host +1 +400 +400 +400 +– +10 +20 +30 +40 +– +1000 +0 +0 +3 +0 +0 +0 +yes +0\.9$/m);
});

test('what was wrong is told with its run, in the report and below the table', () => {
  const why = 'n3 has not applied 91 transactions';
  const late: RunResult = { ...good, convergence: { kind: 'not-converged', why }, problems: [`not whole: ${why}`] };
  const report = faultReport('kill-host', [good, late]);
  assert.deepEqual(report.problems, [{ run: 2, text: `not whole: ${why}` }]);
  assert.deepEqual(report.whole, { runs: 1, afterMs: { min: 900, p50: 900, max: 900 } });
  const head = { engine: 'mysql', version: '9.7', store: 'local', durability: 'sync', machine: 'm', floor: null };
  const text = renderTable({ ...head, faults: [report] }, plain);
  assert.match(text, /^kill-host .* 1 of 2 +0\.9$/m);
  assert.match(text, /^kill-host 2\/2: not whole: n3 has not applied 91 transactions$/m);
});

test('an outage under load is a multiple of the quiet one', () => {
  const quiet = faultReport('kill-host', [outage(300), outage(400), outage(500)]);
  const loaded = underLoad(faultReport('kill-host', [outage(900), outage(1000), outage(1100)]), quiet, 6);
  assert.deepEqual(loaded.load, { busy: 6, timesQuiet: 2.5 });
  assert.equal(underLoad(faultReport('kill-host', [outage(0)]), quiet, 6).load?.timesQuiet, null);
  const head = { engine: 'mysql', version: '9.7', store: 'local', durability: 'sync', machine: 'm', floor: null };
  const text = renderTable({ ...head, faults: [quiet, loaded] }, plain);
  assert.match(text, /^kill-host \+ 6 busy +3 +900 +1000 +1100 /m);
  assert.match(text, /^kill-host beside 6 busy processes: outage 1000 ms \(p50\), 2\.5 × the quiet one$/m);
});

test('outages are multiples of the floor that was measured beside them', () => {
  const floor = { runs: 3, minMs: 140, p50Ms: 160, maxMs: 200 };
  const faults = [faultReport('kill-host', [good])];
  const report = {
    engine: 'postgres',
    version: '17.10',
    store: 'local',
    durability: 'sync',
    machine: 'm',
    floor,
    faults,
  };
  assert.match(renderTable(report, plain), /^floor 140 \/ 160 \/ 200 ms .*of 3/m);
  assert.match(renderTable(report, plain), /^kill-host +1 +400 +400 +400 +2\.5 /m);
  assert.partialDeepStrictEqual(reportJson(report), {
    floorMs: { min: 140, p50: 160, max: 200, runs: 3 },
    faults: [{ outageFloors: { min: 2.5, p50: 2.5, max: 2.5 } }],
  });
  assert.equal(timesFloor(0, floor), null, 'no outage is no multiple');
});

test('spread of nothing is nothing', () => {
  assert.deepEqual(spread([]), { min: 0, p50: 0, max: 0 });
});
