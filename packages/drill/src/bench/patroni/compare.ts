import { spread } from '../../check/summary.ts';
import { type Floor, measureFloor } from '../../floor/floor.ts';
import { parseOptions } from '../../options.ts';
import { machineText } from '../../report/report.ts';
import type { ClusterIo } from '../../run/cluster.ts';
import { tightest } from './config.ts';
import { Contender } from './contender.ts';
import type { ComparedFault } from './faults.ts';
import type { Measured } from './measured.ts';
import { findPrograms, pgMajor } from './programs.ts';
import { type Comparison, type FaultComparison, summaryOf } from './report.ts';
import { patroniSide, understudySide } from './sides.ts';

export interface CompareOptions {
  readonly faults: readonly ComparedFault[];
  readonly runs: number;
  readonly writers: number;
}

/** How long either may take to be whole again: a member of Patroni's that was lost may be copied anew. */
const convergeMs = 120_000;

/**
 * Measures both in turns, on one machine in one run: for each run of each fault the floor, then the two, each first every other time.
 * Both clusters are there all the while; the one that is not measured is idle.
 *
 * @throws DrillError `INTERRUPTED`, `SETUP_FAILED`; ServersError, LocalError. Everything is ended then.
 */
export async function compare(options: CompareOptions, io: ClusterIo): Promise<Comparison> {
  const { runs, writers } = options;
  const programs = await findPrograms(({ name, text }) => io.progress(`${name}: ${text}`));
  const drillOptions = parseOptions({
    serverVersion: pgMajor,
    store: 'etcd',
    faults: [...options.faults],
    runs,
    writers,
    convergeMs,
  });
  const understudy = new Contender(understudySide(drillOptions, io), io.signal);
  const patroni = new Contender(patroniSide(programs, drillOptions, io), io.signal);
  try {
    await patroni.ready();
    await understudy.ready();
    const { floor, faults } = await runAll({ understudy, patroni }, options, io);
    return {
      machine: machineText(),
      versions: { postgres: programs.postgres.version, patroni: programs.patroni.version, etcd: programs.etcdVersion },
      patroniSettings: tightest,
      writers,
      floor,
      faults,
    };
  } finally {
    io.progress('ending both clusters');
    try {
      await understudy.end();
    } finally {
      await patroni.end();
    }
  }
}

interface Measurer {
  measure(fault: ComparedFault, say: (text: string) => void): Promise<Measured>;
}

type Names = 'understudy' | 'patroni';

async function runAll(
  contenders: Readonly<Record<Names, Measurer>>,
  { faults, runs }: CompareOptions,
  io: ClusterIo,
): Promise<{ readonly floor: Floor; readonly faults: readonly FaultComparison[] }> {
  const floors: number[] = [];
  const comparisons: FaultComparison[] = [];
  for (const fault of faults) {
    const results: Readonly<Record<Names, Measured[]>> = { understudy: [], patroni: [] };
    for (let run = 1; run <= runs; run += 1) {
      const floor = await measureFloor({ engine: 'postgres', version: pgMajor, runs: 1 }, io.signal, io.progress);
      floors.push(floor.p50Ms);
      io.notice(`${fault} ${run}/${runs}, floor: ${floor.p50Ms} ms`);
      const order: readonly Names[] = run % 2 === 1 ? ['understudy', 'patroni'] : ['patroni', 'understudy'];
      for (const name of order) {
        const say = (text: string): void => io.progress(`${fault} ${run}/${runs}, ${titles[name]}: ${text}`);
        const result = await contenders[name].measure(fault, say);
        results[name].push(result);
        io.notice(lineOf(`${fault} ${run}/${runs}, ${titles[name]}`, result));
        for (const problem of result.problems) io.notice(`    ${problem}`);
      }
    }
    comparisons.push({ fault, understudy: summaryOf(results.understudy), patroni: summaryOf(results.patroni) });
  }
  const { min, p50, max } = spread(floors);
  return { floor: { runs: floors.length, minMs: min, p50Ms: p50, maxMs: max }, faults: comparisons };
}

const titles: Readonly<Record<Names, string>> = { understudy: 'Understudy', patroni: 'Patroni' };

function lineOf(what: string, { outageMs, acked, lost, unknown }: Measured): string {
  if (outageMs === null) return `${what}: could not be carried through`;
  return `${what}: outage ${Math.round(outageMs)} ms; acked ${acked}, lost ${lost ?? '?'}, unknown ${unknown}`;
}
