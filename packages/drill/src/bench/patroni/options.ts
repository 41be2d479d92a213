import { parseArgs } from 'node:util';
import { z } from 'zod';
import { DrillError } from '../../errors.ts';
import type { CompareOptions } from './compare.ts';
import { comparedFaults } from './faults.ts';

export const usage = `Usage: npm run bench:patroni -- [options]

Measures Understudy and Patroni (Debian 12's, at the tightest settings that its documentation allows) in turns on this machine, with the
drill's clients, faults and judgement, on the same PostgreSQL 15, and the floor of the machine beside them. Needs root and the program
"ip" (every node gets a host of its own). Programs that are missing are fetched; nothing is installed.

  --faults LIST   comma-separated (${comparedFaults.join(',')})
  --runs N        how often each fault is injected on either side (3)
  --writers N     clients that write at once (20)
  --json          print the report as JSON
  --help          this text

Examples:
  npm run bench:patroni
  npm run bench:patroni -- --runs 10 --faults kill-database,switchover
  npm run bench:patroni -- --faults kill-host --writers 1 --json > report.json

A run takes about 20 s on Understudy's side and 20 to 60 s on Patroni's.
Exit codes: 0 measured; 1 Understudy lost, resurrected or acknowledged twice, or a run on either side could not be carried through;
2 wrong usage, or this machine cannot do it; 3 the benchmark could not be carried out; 130 interrupted.
`;

const flags = {
  faults: { type: 'string' },
  runs: { type: 'string', default: '3' },
  writers: { type: 'string', default: '20' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Text that is no number arrives as NaN. */
const whole = (most: number): z.ZodInt => {
  const wanted = `is not a whole number from 1 to ${most}`;
  return z.int(wanted).min(1, wanted).max(most, wanted);
};

const schema = z.object({
  faults: z.array(z.enum(comparedFaults, `is not one of ${comparedFaults.join(', ')}`)).min(1),
  runs: whole(1000),
  writers: whole(200),
});

export type PatroniCommandLine =
  | { readonly kind: 'help' }
  | { readonly kind: 'compare'; readonly options: CompareOptions; readonly output: 'json' | 'text' };

/** @throws DrillError `OPTION_INVALID` naming each wrong option */
export function parsePatroniArgs(args: readonly string[]): PatroniCommandLine {
  const values = readFlags(args);
  if (values.help) return { kind: 'help' };
  const faults = values.faults?.split(',').map((name) => name.trim()) ?? [...comparedFaults];
  const parsed = schema.safeParse({ faults, runs: Number(values.runs), writers: Number(values.writers) });
  if (parsed.success) return { kind: 'compare', options: parsed.data, output: values.json ? 'json' : 'text' };
  const problems = parsed.error.issues.map((issue) => `--${String(issue.path[0])}: ${issue.message}`);
  throw invalid(problems.join('; '));
}

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, allowPositionals: false }).values;
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
}

const invalid = (text: string): DrillError =>
  new DrillError('OPTION_INVALID', `${text.replace(/\.$/, '')}.`, { next: 'See `npm run bench:patroni -- --help`.' });
