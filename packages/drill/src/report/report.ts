import { availableParallelism, cpus, totalmem } from 'node:os';
import { type Phases, phaseNames } from '../check/phases.ts';
import { spread } from '../check/summary.ts';
import type { Floor } from '../floor/floor.ts';
import type { RunResult } from '../run/one.ts';

/** The figures of one fault over all its runs. */
export interface FaultReport {
  readonly fault: string;
  readonly runs: number;
  readonly outageMs: { readonly min: number; readonly p50: number; readonly max: number };
  /** Middle value of each part of the outage; null for a part that was never seen. */
  readonly phasesMs: Phases;
  readonly acked: number;
  readonly lost: number;
  /** Runs in which nothing could be compared: lost and resurrected say nothing about them. */
  readonly notCompared: number;
  readonly resurrected: number;
  /** Inserts of unknown outcome: sent, but their answer never came. */
  readonly unknown: number;
  readonly dualAck: number;
  /** Acknowledged while no acknowledger was there. */
  readonly unprotected: number;
  readonly dualWritableMsMax: number;
  /** Whether every run ended in a whole cluster with identical nodes. */
  readonly converged: boolean;
  /** How many runs did, and how long after the fault was healed; the times are of those that did. */
  readonly whole: { readonly runs: number; readonly afterMs: ReturnType<typeof spread> };
  /** Of runs beside busy processes only: how many of them, and the middle outage as a multiple of the quiet one. */
  readonly load?: { readonly busy: number; readonly timesQuiet: number | null };
  /** What was wrong, in sentences that name the node. */
  readonly problems: readonly Problem[];
}

/** Something that was wrong in a run; the first run has number 1. */
export interface Problem {
  readonly run: number;
  readonly text: string;
}

/** What `--json` prints. */
export interface DrillReport {
  readonly engine: string;
  readonly version: string;
  readonly store: string;
  readonly durability: string;
  readonly machine: string;
  /** What a failover costs here without agents; null when it was not measured. */
  readonly floor: Floor | null;
  readonly faults: readonly FaultReport[];
}

export function faultReport(fault: string, results: readonly RunResult[]): FaultReport {
  const total = (pick: (result: RunResult) => number): number => results.reduce((sum, result) => sum + pick(result), 0);
  return {
    fault,
    runs: results.length,
    outageMs: spread(results.map((result) => result.outage.outageMs)),
    phasesMs: middlePhases(results.filter((result) => result.outage.span !== null).map((result) => result.phases)),
    acked: total((result) => result.acked),
    lost: total((result) => result.contents.lost),
    notCompared: results.filter(({ contents }) => contents.compared === 'none').length,
    resurrected: total((result) => result.contents.resurrected + result.contents.unexpected),
    unknown: total((result) => result.unknown),
    dualAck: total((result) => result.dualAck),
    unprotected: total((result) => result.unprotected),
    dualWritableMsMax: Math.max(0, ...results.map((result) => result.dualWritableMs)),
    converged: results.length > 0 && results.every(isWhole),
    whole: {
      runs: results.filter(isWhole).length,
      afterMs: spread(
        results.flatMap(({ convergence }) => (convergence.kind === 'converged' ? [convergence.tookMs] : [])),
      ),
    },
    problems: results.flatMap((result, index) => result.problems.map((text) => ({ run: index + 1, text }))),
  };
}

/** The report of runs beside busy processes, with what the quiet ones say of it. */
export function underLoad(loaded: FaultReport, quiet: FaultReport, busy: number): FaultReport {
  const [ours, theirs] = [loaded.outageMs.p50, quiet.outageMs.p50];
  const timesQuiet = ours === 0 || theirs === 0 ? null : Math.round((10 * ours) / theirs) / 10;
  return { ...loaded, load: { busy, timesQuiet } };
}

const isWhole = (result: RunResult): boolean => result.problems.length === 0 || isOnlyViolation(result);

/** Lost and resurrected rows have columns of their own; everything else that is wrong means that the nodes did not come together. */
function isOnlyViolation(result: RunResult): boolean {
  return (
    result.convergence.kind === 'converged' &&
    !result.problems.some((problem) => / differs from |company_db/.test(problem))
  );
}

function middlePhases(all: readonly Phases[]): Phases {
  const middle = (name: keyof Phases): number | null => {
    const seen = all.map((phases) => phases[name]).filter((value) => value !== null);
    return seen.length === 0 ? null : spread(seen).p50;
  };
  const [detect, seal, choose, promote, reconnect] = phaseNames.map(middle);
  return {
    detect: detect ?? null,
    seal: seal ?? null,
    choose: choose ?? null,
    promote: promote ?? null,
    reconnect: reconnect ?? null,
  };
}

/** Whether anything was lost, resurrected, acknowledged by two or by nobody, or did not come together again. */
export function isViolated(report: FaultReport): boolean {
  const { lost, notCompared, resurrected, dualAck, unprotected, converged } = report;
  return notCompared > 0 || lost > 0 || resurrected > 0 || dualAck > 0 || unprotected > 0 || !converged;
}

/** An outage as a multiple of the machine's floor, with one decimal; null when either is not known. */
export function timesFloor(outageMs: number, floor: Floor | null): number | null {
  if (floor === null || floor.p50Ms === 0 || outageMs === 0) return null;
  return Math.round((10 * outageMs) / floor.p50Ms) / 10;
}

/** The report as `--json` prints it: the floor, and each outage as a multiple of it. */
export function reportJson(report: DrillReport): object {
  const { floor, faults, ...rest } = report;
  const times = (ms: number): number | null => timesFloor(ms, floor);
  return {
    ...rest,
    floorMs: floor === null ? null : { min: floor.minMs, p50: floor.p50Ms, max: floor.maxMs, runs: floor.runs },
    faults: faults.map((fault) => {
      const { min, p50, max } = fault.outageMs;
      return { ...fault, outageFloors: { min: times(min), p50: times(p50), max: times(max) } };
    }),
  };
}

/** The machine in one line. */
export function machineText(): string {
  const model = cpus()[0]?.model.trim().replaceAll(/\s+/g, ' ') ?? 'unknown processor';
  const gib = Math.round(totalmem() / 1024 ** 3);
  return `${availableParallelism()} × ${model}, ${gib} GiB, ${process.platform} ${process.arch}, Node ${process.versions.node}`;
}
