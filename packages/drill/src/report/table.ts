import { phaseNames } from '../check/phases.ts';
import type { DrillReport, FaultReport } from './report.ts';
import { isViolated } from './report.ts';

const headings = [
  'fault',
  'runs',
  'outage ms min',
  'p50',
  'max',
  ...phaseNames,
  'acked',
  'lost',
  'resurrected',
  'unknown',
  'dual ack',
  'dual writable ms',
  'converged',
];

function cellsOf(report: FaultReport): string[] {
  const { outageMs, phasesMs } = report;
  return [
    report.fault,
    String(report.runs),
    String(outageMs.min),
    String(outageMs.p50),
    String(outageMs.max),
    ...phaseNames.map((name) => (phasesMs[name] === null ? '–' : String(phasesMs[name]))),
    String(report.acked),
    String(report.lost),
    String(report.resurrected),
    String(report.unknown),
    String(report.dualAck),
    String(report.dualWritableMsMax),
    report.converged ? 'yes' : 'NO',
  ];
}

/** The report as a table. `colour` marks what is wrong. */
export function renderTable(report: DrillReport, colour: 'colour' | 'plain'): string {
  const rows = report.faults.map((fault) => ({ cells: cellsOf(fault), isBad: isViolated(fault) }));
  const widths = headings.map((heading, index) =>
    Math.max(heading.length, ...rows.map(({ cells }) => cells[index]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join('  ');
  const paint = (text: string, isBad: boolean): string =>
    colour === 'colour' && isBad ? `\u001b[31m${text}\u001b[0m` : text;
  const { engine, version, store, durability, machine } = report;
  const head = `${engine} ${version}, store ${store}, durability ${durability}\n${machine}\n`;
  return [head, line(headings), ...rows.map(({ cells, isBad }) => paint(line(cells), isBad))].join('\n');
}
