import { DrillError } from './errors.ts';
import { faults } from './faults/index.ts';
import { type CommandLine, defaultFaults, parseCommandLine } from './options.ts';
import { DrillDisplay } from './report/display.ts';
import { reportJson } from './report/report.ts';
import { renderTable } from './report/table.ts';
import type { Terminal } from './report/terminal.ts';
import { startCluster } from './run/cluster.ts';
import { type DrillEvent, type DrillIo, exitCodeOf, runDrill } from './run/drill.ts';
import { runTour, type TourStep } from './tour/tour.ts';

/** Text of `understudy drill --help`. */
export function drillUsage(): string {
  const width = Math.max(...[...faults.keys()].map((name) => name.length)) + 2;
  const list = [...faults.values()].map(
    ({ name, text, needs }) => `    ${name.padEnd(width)}${text}${needs !== 'nothing' ? ' (root)' : ''}`,
  );
  return `Usage: understudy drill [options]

Builds a cluster of its own, injects faults while many clients write, heals them, and checks that nothing acknowledged was lost.

  --faults LIST        comma-separated, or "all"; default: ${defaultFaults.join(',')}
${list.join('\n')}
  --runs N             how often each fault is injected (5)
  --load N             and as often again beside N busy processes: outages under load, as multiples of the quiet ones (0)
  --store KIND         local (default) or etcd; --etcd-members 1, 3, or hosts (one on each node's host; root)
  --nodes N            number of nodes (3)
  --durability MODE    sync (default) or async
  --engine KIND        postgres (default), mysql or mariadb
  --server-version V   such as 17, 9.7, 11.8 (--pg-version: its older name); --bin-dir FOLDER takes the programs from there
  --hosts KIND         namespaces (a host for each node; root), loopback, or automatic (default)
  --writers N          clients that write at once (20); --every-ms N: time between two inserts of one (20)
  --deadline-ms N      how long a client waits for an answer (500)
  --calm-ms N          writes before each fault (2000); --converge-ms N: time to become healthy again (60000)
  --floor-runs N       how often the floor of this machine is measured first: a bare failover without agents (3; 0: not at all)
  --data-dir FOLDER    the cluster's folder; default: a new one, removed afterwards
  --keep               keep that folder
  --tour               instead: company_db, retail_db and pgbench or sysbench carried through kill, switchover and rejoin;
                       checksums of all tables are compared on every node
  --log-level LEVEL    of the agents: info (default) or debug
  --json               print the report as JSON
Exit codes: 0 nothing lost and all converged; 1 something was lost, resurrected, acknowledged by two or by nobody, or not whole again; 2 wrong usage;
3 the drill could not be carried out; 130 interrupted.
`;
}

/**
 * The command `understudy drill`.
 *
 * @param args what follows `drill` on the command line
 * @param command program and arguments by which `understudy` itself is run, for the agents
 * @param terminal where everything that it says goes
 * @returns the exit code
 */
export async function drillCommand(
  args: readonly string[],
  command: readonly string[],
  terminal: Terminal,
): Promise<number> {
  const interruption = new AbortController();
  const onSignal = (): void => interruption.abort();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  const display = new DrillDisplay(terminal);
  try {
    const line = parseCommandLine(args);
    if (line.kind === 'help') {
      terminal.out(drillUsage());
      return 0;
    }
    const work = line.kind === 'tour' ? tour : drill;
    const io = { command, signal: interruption.signal, onEvent: (event: DrillEvent) => display.show(event) };
    return await work(line, io, terminal, display);
  } catch (error) {
    display.close();
    return explain(error, interruption.signal, terminal);
  } finally {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, onSignal);
  }
}

type Line = Exclude<CommandLine, { kind: 'help' }>;

async function drill(
  { options, output }: Line,
  io: DrillIo,
  terminal: Terminal,
  display: DrillDisplay,
): Promise<number> {
  const report = await runDrill(options, io);
  display.close();
  terminal.out(
    `${output === 'json' ? JSON.stringify(reportJson(report), null, 2) : renderTable(report, terminal.red)}\n`,
  );
  return exitCodeOf(report);
}

async function tour(
  { options, output }: Line,
  io: DrillIo,
  terminal: Terminal,
  display: DrillDisplay,
): Promise<number> {
  const notice = (text: string): void => io.onEvent({ kind: 'notice', text });
  const progress = (text: string): void => io.onEvent({ kind: 'progress', text });
  const { signal } = io;
  const { cluster, leader } = await startCluster(options, 'loopback', {
    command: io.command,
    signal,
    notice,
    progress,
  });
  let steps: readonly TourStep[] = [];
  const isGood = (): boolean => steps.length > 0 && steps.every(({ result }) => result !== 'failed');
  try {
    steps = await runTour({ cluster, leader, signal, say: progress, onStep: (step) => notice(stepLine(step)) });
  } finally {
    progress('ending the cluster');
    if (options.keep === 'keep' || (!isGood() && !signal.aborted)) {
      await cluster.stop();
      notice(`The cluster's folder with logs and data stays: ${cluster.folder}`);
    } else await cluster.destroy();
    display.close();
  }
  if (output === 'json') terminal.out(`${JSON.stringify({ steps }, null, 2)}\n`);
  return isGood() ? 0 : 1;
}

const stepLine = ({ step, result, text }: TourStep): string =>
  `${result === 'passed' ? 'ok' : result === 'failed' ? 'FAILED' : 'left out'}: ${step}: ${text}`;

function explain(error: unknown, signal: AbortSignal, terminal: Terminal): number {
  if (signal.aborted) {
    terminal.err('Interrupted; the cluster was ended.\n');
    return 130;
  }
  terminal.err(`${error instanceof Error ? error.message : String(error)}\n`);
  return error instanceof DrillError && error.code === 'OPTION_INVALID' ? 2 : 3;
}
