import { spread } from '../../check/summary.ts';
import type { Floor } from '../../floor/floor.ts';
import { timesFloor } from '../../report/report.ts';
import type { Measured } from './measured.ts';

/** All runs of one fault on one side. */
export interface Summary {
  /** Runs that were carried through; the outages are of those. */
  readonly runs: number;
  readonly outageMs: ReturnType<typeof spread>;
  readonly acked: number;
  readonly lost: number;
  /** Runs after which the nodes could not be compared: `lost` and `resurrected` say nothing of them. */
  readonly notCompared: number;
  readonly resurrected: number;
  readonly unknown: number;
  readonly dualAck: number;
  readonly problems: readonly string[];
}

export interface FaultComparison {
  readonly fault: string;
  readonly understudy: Summary;
  readonly patroni: Summary;
}

export interface Comparison {
  readonly machine: string;
  readonly versions: { readonly postgres: string; readonly patroni: string; readonly etcd: string };
  readonly patroniSettings: Readonly<Record<string, number | boolean>>;
  readonly writers: number;
  readonly floor: Floor;
  readonly faults: readonly FaultComparison[];
}

export function summaryOf(results: readonly Measured[]): Summary {
  const total = (pick: (result: Measured) => number | null): number =>
    results.reduce((sum, result) => sum + (pick(result) ?? 0), 0);
  const outages = results.flatMap(({ outageMs }) => (outageMs === null ? [] : [outageMs]));
  return {
    runs: outages.length,
    outageMs: spread(outages),
    acked: total(({ acked }) => acked),
    lost: total(({ lost }) => lost),
    notCompared: results.filter(({ lost }) => lost === null).length,
    resurrected: total(({ resurrected }) => resurrected),
    unknown: total(({ unknown }) => unknown),
    dualAck: total(({ dualAck }) => dualAck),
    problems: results.flatMap(({ problems }) => problems),
  };
}

/** Patroni's middle outage as a multiple of Understudy's, with one decimal; null when one of them is not known, or none. */
export function ratioOf({ understudy, patroni }: FaultComparison): number | null {
  const [ours, theirs] = [understudy.outageMs.p50, patroni.outageMs.p50];
  return ours === 0 || theirs === 0 ? null : Math.round((10 * theirs) / ours) / 10;
}

/** Whether Understudy broke its promise, or any run on either side could not be carried through or did not end whole. */
export function isUnsound({ faults }: Comparison): boolean {
  return faults.some(
    ({ understudy, patroni }) =>
      understudy.lost + understudy.resurrected + understudy.dualAck > 0 ||
      understudy.problems.length + patroni.problems.length > 0,
  );
}

/** What `--json` prints. */
export function comparisonJson(comparison: Comparison): object {
  const { floor, faults, ...rest } = comparison;
  const withFloors = (summary: Summary): object => {
    const { min, p50, max } = summary.outageMs;
    const times = (ms: number): number | null => timesFloor(ms, floor);
    return { ...summary, outageFloors: { min: times(min), p50: times(p50), max: times(max) } };
  };
  return {
    ...rest,
    floorMs: { min: floor.minMs, p50: floor.p50Ms, max: floor.maxMs, runs: floor.runs },
    faults: faults.map((fault) => ({
      fault: fault.fault,
      understudy: withFloors(fault.understudy),
      patroni: withFloors(fault.patroni),
      patroniPerUnderstudy: ratioOf(fault),
    })),
  };
}

const headings = [
  'fault',
  'runs',
  'Understudy ms',
  '× floor',
  'Patroni ms',
  '× floor',
  'Patroni / Understudy',
  'lost U, P',
  'unknown U, P',
  'dual ack U, P',
];

function cellsOf(fault: FaultComparison, floor: Floor): string[] {
  const { understudy, patroni } = fault;
  const outage = ({ runs, outageMs: { min, p50, max } }: Summary): string =>
    runs === 0 ? '–' : `${min} / ${p50} / ${max}`;
  const floors = ({ outageMs }: Summary): string => timesFloor(outageMs.p50, floor)?.toFixed(1) ?? '–';
  const lost = ({ lost: rows, notCompared }: Summary): string => (notCompared === 0 ? String(rows) : `${rows}+?`);
  return [
    fault.fault,
    understudy.runs === patroni.runs ? String(patroni.runs) : `${understudy.runs}, ${patroni.runs}`,
    outage(understudy),
    floors(understudy),
    outage(patroni),
    floors(patroni),
    ratioOf(fault)?.toFixed(1) ?? '–',
    `${lost(understudy)}, ${lost(patroni)}`,
    `${understudy.unknown}, ${patroni.unknown}`,
    `${understudy.dualAck}, ${patroni.dualAck}`,
  ];
}

const legend = `
ms: min / p50 / max of the outage that the client who waited longest saw; × floor: its p50 in floors of this machine
lost: acknowledged and not there (?: nothing could be compared in some runs); unknown: sent, and no answer came; dual ack: two servers acknowledged in turns`;

/** The comparison as a table, and what was wrong below it. */
export function comparisonTable(comparison: Comparison): string {
  const { machine, versions, patroniSettings, writers, floor, faults } = comparison;
  const rows = faults.map((fault) => cellsOf(fault, floor));
  const widths = headings.map((heading, index) =>
    Math.max(heading.length, ...rows.map((cells) => cells[index]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join('  ');
  const settings = Object.entries(patroniSettings).map(([name, value]) => `${name} ${value}`);
  const head = [
    `PostgreSQL ${versions.postgres}, etcd ${versions.etcd} (one member for each), three nodes, ${writers} writers, synchronous`,
    `Patroni ${versions.patroni}: ${settings.join(', ')}`,
    machine,
    `floor ${floor.minMs} / ${floor.p50Ms} / ${floor.maxMs} ms (min, p50, max of ${floor.runs})`,
    '',
  ];
  const wrong = faults.flatMap(({ fault, understudy, patroni }) => [
    ...understudy.problems.map((text) => `${fault}, Understudy: ${text}`),
    ...patroni.problems.map((text) => `${fault}, Patroni: ${text}`),
  ]);
  return [...head, line(headings), ...rows.map(line), legend, ...(wrong.length === 0 ? [] : ['', ...wrong])].join('\n');
}
