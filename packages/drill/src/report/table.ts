import { phaseNames } from '../check/phases.ts';
import type { Floor } from '../floor/floor.ts';
import { type DrillReport, type FaultReport, isViolated, timesFloor } from './report.ts';

const headings = [
  'fault',
  'runs',
  'outage ms min',
  'p50',
  'max',
  '× floor',
  ...phaseNames,
  'acked',
  'lost',
  'resurrected',
  'unknown',
  'dual ack',
  'unprotected',
  'dual writable ms',
  'whole',
  'after s',
];

const seconds = (ms: number): string => (ms / 1000).toFixed(1);

/** A number of rows, with a mark when some runs could not be compared. */
const known = (rows: number, { notCompared, runs }: FaultReport): string =>
  notCompared === 0 ? String(rows) : notCompared === runs && rows === 0 ? '?' : `${rows}+?`;

function cellsOf(report: FaultReport, floor: Floor | null): string[] {
  const { outageMs, phasesMs, whole } = report;
  return [
    report.load === undefined ? report.fault : `${report.fault} + ${report.load.busy} busy`,
    String(report.runs),
    String(outageMs.min),
    String(outageMs.p50),
    String(outageMs.max),
    timesFloor(outageMs.p50, floor)?.toFixed(1) ?? '–',
    ...phaseNames.map((name) => (phasesMs[name] === null ? '–' : String(phasesMs[name]))),
    String(report.acked),
    known(report.lost, report),
    known(report.resurrected, report),
    String(report.unknown),
    String(report.dualAck),
    String(report.unprotected),
    String(report.dualWritableMsMax),
    report.converged ? 'yes' : `${whole.runs} of ${report.runs}`,
    whole.runs === 0 ? '–' : seconds(whole.afterMs.p50),
  ];
}

const legend = `
outage: what the client that waited longest saw, of which detect, seal, choose, promote, reconnect (middle values); × floor: its p50 in floors of this machine: kill -9 of a bare primary, promotion by one statement, first write, no agents
lost, resurrected, dual ack, unprotected must be 0 (?: nothing could be compared in some runs); unknown: sent, and no answer came; whole: every run ended with all nodes there and equal, that long after the fault was healed (p50)`;

function floorText(floor: Floor | null): string {
  if (floor === null) return '';
  return `floor ${floor.minMs} / ${floor.p50Ms} / ${floor.maxMs} ms (min, p50, max of ${floor.runs})\n`;
}

/** The report as a table, and what was wrong below it. `red` marks what is wrong. */
export function renderTable(report: DrillReport, red: (text: string) => string): string {
  const rows = report.faults.map((fault) => ({ cells: cellsOf(fault, report.floor), isBad: isViolated(fault) }));
  const widths = headings.map((heading, index) =>
    Math.max(heading.length, ...rows.map(({ cells }) => cells[index]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join('  ');
  const paint = (text: string, isBad: boolean): string => (isBad ? red(text) : text);
  const { engine, version, store, durability, machine } = report;
  const head = `${engine} ${version}, store ${store}, durability ${durability}\n${machine}\n${floorText(report.floor)}`;
  const table = rows.map(({ cells, isBad }) => paint(line(cells), isBad));
  const wrong = report.faults.flatMap(({ fault, runs, problems }) =>
    problems.map(({ run, text }) => paint(`${fault} ${run}/${runs}: ${text}`, true)),
  );
  const loaded = report.faults.flatMap(({ fault, load, outageMs }) => {
    if (load === undefined) return [];
    const times = load.timesQuiet === null ? 'no multiple of the quiet one' : `${load.timesQuiet} × the quiet one`;
    return [`${fault} beside ${load.busy} busy processes: outage ${outageMs.p50} ms (p50), ${times}`];
  });
  const below = wrong.length === 0 ? [] : ['', ...wrong];
  return [head, line(headings), ...table, legend, ...loaded, ...below].join('\n');
}
