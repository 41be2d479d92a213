import type { Violation } from '../checks/checks.ts';
import type { RunResult } from './run.ts';

/** What one run adds to a report; plain data, so that it can cross a thread. */
export interface RunSummary {
  readonly seed: number;
  readonly simulatedMs: number;
  readonly events: number;
  readonly decisions: number;
  readonly failovers: number;
  readonly writesTried: number;
  readonly acks: number;
  readonly settledAfterMs: number | null;
  readonly faults: readonly (readonly [string, number])[];
  readonly violation: Violation | null;
}

export function summarise(result: RunResult): RunSummary {
  return {
    seed: result.scenario.seed,
    simulatedMs: result.simulatedMs,
    events: result.events,
    decisions: result.decisions,
    failovers: result.failovers,
    writesTried: result.writesTried,
    acks: result.acks,
    settledAfterMs: result.settledAfterMs,
    faults: [...result.faults],
    violation: result.violations[0] ?? null,
  };
}

/** Many runs together. */
export interface Report {
  readonly seeds: number;
  readonly simulatedHours: number;
  readonly cpuSeconds: number;
  readonly simulatedHoursPerCpuSecond: number;
  readonly events: number;
  readonly eventsPerCpuSecond: number;
  readonly decisions: number;
  readonly failovers: number;
  readonly writesTried: number;
  readonly acknowledgements: number;
  readonly settledAfterMsMax: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly violations: readonly { readonly seed: number; readonly rule: string; readonly text: string }[];
}

export function report(runs: readonly RunSummary[], cpuSeconds: number): Report {
  const sum = (of: (run: RunSummary) => number): number => runs.reduce((total, run) => total + of(run), 0);
  const simulatedHours = sum((run) => run.simulatedMs) / 3_600_000;
  const events = sum((run) => run.events);
  const faults: Record<string, number> = {};
  for (const run of runs) for (const [kind, count] of run.faults) faults[kind] = (faults[kind] ?? 0) + count;
  return {
    seeds: runs.length,
    simulatedHours,
    cpuSeconds,
    simulatedHoursPerCpuSecond: simulatedHours / cpuSeconds,
    events,
    eventsPerCpuSecond: events / cpuSeconds,
    decisions: sum((run) => run.decisions),
    failovers: sum((run) => run.failovers),
    writesTried: sum((run) => run.writesTried),
    acknowledgements: sum((run) => run.acks),
    settledAfterMsMax: runs.reduce((most, run) => Math.max(most, run.settledAfterMs ?? 0), 0),
    faults,
    violations: runs.flatMap(({ seed, violation }) =>
      violation === null ? [] : [{ seed, rule: violation.rule, text: violation.text }],
    ),
  };
}

const number = (value: number): string => Math.round(value).toLocaleString('en-US');

/** The report as people read it. */
export function formatReport(of: Report): string {
  const kinds = Object.entries(of.faults).sort(([, a], [, b]) => b - a);
  const total = kinds.reduce((all, [, count]) => all + count, 0);
  const lines = [
    `seeds            ${number(of.seeds)}`,
    `simulated        ${of.simulatedHours.toFixed(1)} h in ${of.cpuSeconds.toFixed(1)} CPU s: ${of.simulatedHoursPerCpuSecond.toFixed(1)} h per CPU s`,
    `events           ${number(of.events)}, ${number(of.eventsPerCpuSecond)} per CPU s; ${number(of.decisions)} decisions`,
    `faults tried     ${number(total)}: ${kinds.map(([kind, count]) => `${kind} ${number(count)}`).join(', ')}`,
    `new leaderships  ${number(of.failovers)}; slowest return to health after the last fault ${(of.settledAfterMsMax / 1000).toFixed(1)} s`,
    `writes           ${number(of.writesTried)} tried, acknowledged in ${number(of.acknowledgements)} groups`,
    `violations       ${of.violations.length === 0 ? 'none' : of.violations.length}`,
  ];
  for (const { seed, rule, text } of of.violations.slice(0, 20)) lines.push(`  seed ${seed}: ${rule}: ${text}`);
  return lines.join('\n');
}
