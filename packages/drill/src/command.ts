import { DrillError } from './errors.ts';
import { faults } from './faults/index.ts';
import { defaultFaults, parseCommandLine } from './options.ts';
import { DrillDisplay } from './report/display.ts';
import { renderTable } from './report/table.ts';
import { exitCodeOf, runDrill } from './run/drill.ts';

/** Text of `understudy drill --help`. */
export function drillUsage(): string {
  const list = [...faults.values()].map(
    ({ name, text, needs }) => `    ${name.padEnd(19)}${text}${needs === 'namespaces' ? ' (root)' : ''}`,
  );
  return `Usage: understudy drill [options]

Builds a cluster of its own, injects faults while many clients write, heals them, and checks that nothing acknowledged was lost.

  --faults LIST        comma-separated, or "all"; default: ${defaultFaults.join(',')}
${list.join('\n')}
  --runs N             how often each fault is injected (5)
  --store KIND         local (default) or etcd; --etcd-members 1 or 3
  --nodes N            number of nodes (3)
  --durability MODE    sync (default) or async
  --pg-version N       major version of PostgreSQL; --bin-dir FOLDER takes its programs from there
  --hosts KIND         namespaces (a host for each node; root), loopback, or automatic (default)
  --writers N          clients that write at once (20); --every-ms N: time between two inserts of one (20)
  --deadline-ms N      how long a client waits for an answer (500)
  --calm-ms N          writes before each fault (2000); --converge-ms N: time to be whole again (60000)
  --data-dir FOLDER    the cluster's folder; default: a new one, removed afterwards
  --keep               keep that folder
  --log-level LEVEL    of the agents: info (default) or debug
  --json               print the report as JSON
Exit codes: 0 nothing lost and all converged; 1 something was lost, resurrected, acknowledged by two, or did not converge; 2 wrong usage;
3 the drill could not be carried out; 130 interrupted.
`;
}

/**
 * The command `understudy drill`.
 *
 * @param args what follows `drill` on the command line
 * @param command program and arguments by which `understudy` itself is run, for the agents
 * @returns the exit code
 */
export async function drillCommand(args: readonly string[], command: readonly string[]): Promise<number> {
  const interruption = new AbortController();
  const onSignal = (): void => interruption.abort();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  const display = new DrillDisplay(process.stderr);
  try {
    const line = parseCommandLine(args);
    if (line.kind === 'help') {
      process.stdout.write(drillUsage());
      return 0;
    }
    const { signal } = interruption;
    const report = await runDrill(line.options, { command, signal, onEvent: (event) => display.show(event) });
    display.close();
    const colour = process.stdout.isTTY ? 'colour' : 'plain';
    process.stdout.write(`${line.output === 'json' ? JSON.stringify(report, null, 2) : renderTable(report, colour)}\n`);
    return exitCodeOf(report);
  } catch (error) {
    display.close();
    return explain(error, interruption.signal);
  } finally {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, onSignal);
  }
}

function explain(error: unknown, signal: AbortSignal): number {
  if (signal.aborted) {
    process.stderr.write('Interrupted; the cluster was ended.\n');
    return 130;
  }
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return error instanceof DrillError && error.code === 'OPTION_INVALID' ? 2 : 3;
}
