import { reasonOf } from '@understudy/base';
/** `npm run bench:patroni`: Understudy and Patroni, measured in turns. Progress goes to standard error, the report to standard output. */

import { fileURLToPath } from 'node:url';
import { namespacesObjection } from '@understudy/local';
import { DrillError } from '../../errors.ts';
import { DrillDisplay } from '../../report/display.ts';
import { processTerminal } from '../terminal.ts';
import { compare } from './compare.ts';
import { parsePatroniArgs, usage } from './options.ts';
import { comparisonJson, comparisonTable, isUnsound } from './report.ts';

const command = [process.execPath, fileURLToPath(new URL('../../../../cli/src/main.ts', import.meta.url))];

const terminal = processTerminal();

async function main(args: readonly string[]): Promise<number> {
  const interruption = new AbortController();
  // Kept for the whole run: npm passes on what the terminal has sent already, and the second one must not end us halfway.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interruption.abort());
  const display = new DrillDisplay(terminal);
  try {
    const line = parsePatroniArgs(args);
    if (line.kind === 'help') {
      terminal.out(usage);
      return 0;
    }
    const objection = machineObjection();
    if (objection !== null) {
      terminal.err(`${objection}\n`);
      return 2;
    }
    const comparison = await compare(line.options, {
      command,
      signal: interruption.signal,
      notice: (text) => display.show({ kind: 'notice', text }),
      progress: (text) => display.show({ kind: 'progress', text }),
    });
    display.close();
    const text =
      line.output === 'json' ? JSON.stringify(comparisonJson(comparison), null, 2) : comparisonTable(comparison);
    terminal.out(`${text}\n`);
    return isUnsound(comparison) ? 1 : 0;
  } catch (error) {
    display.close();
    return explain(error, interruption.signal);
  }
}

/** What this machine lacks, with the next step; null: nothing. */
function machineObjection(): string | null {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    const here = `${process.platform} ${process.arch}`;
    return `Debian's Patroni is fetched for Linux on x86-64 only; this is ${here}. Run it on such a machine.`;
  }
  const objection = namespacesObjection();
  if (objection === null) return null;
  return `Every node needs a host of its own (a network namespace): ${objection}. Run as root, with iproute2 and util-linux installed.`;
}

function explain(error: unknown, signal: AbortSignal): number {
  if (signal.aborted) {
    terminal.err('Interrupted; both clusters were ended.\n');
    return 130;
  }
  terminal.err(`${reasonOf(error)}\n`);
  return error instanceof DrillError && error.code === 'OPTION_INVALID' ? 2 : 3;
}

process.exitCode = await main(process.argv.slice(2));
