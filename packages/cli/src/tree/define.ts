import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Context } from '../context.ts';
import type { ExitCode } from '../exit-codes.ts';

/** What a command does, in a module of its own that is loaded only when it is run. */
export type Handler = (context: Context, args: readonly string[], options: unknown) => Promise<ExitCode>;

/** What the tree needs to put commands into it. */
export interface Tree {
  readonly program: Command;
  /** Runs `load`'s handler when the command is given. */
  readonly attach: (command: Command, load: () => Promise<Handler>) => void;
}

/** Defaults that depend on the engine. */
export const userText = 'database user (default: postgres; of MySQL and MariaDB: admin)';
export const databaseText = 'database (default: postgres; of MySQL and MariaDB: app)';

/** Options that every command has. */
export function withCommon(command: Command): Command {
  return command
    .addOption(new Option('--json', 'print JSON (errors too, on standard error)').helpGroup('Common options:'))
    .addOption(new Option('--no-color', 'never use colour (NO_COLOR does the same)').helpGroup('Common options:'))
    .addOption(new Option('--debug', 'show the stack of an error').helpGroup('Common options:'))
    .helpOption('-h, --help', 'show this help');
}

/** Options that say which cluster is meant, for commands that talk to a running one. */
export function withTarget(command: Command): Command {
  const group = 'Which cluster (default: the one that "understudy up" keeps here):';
  const add = (flags: string, text: string): Option => new Option(flags, text).helpGroup(group);
  return command
    .addOption(add('--api <url...>', 'address of an agent, or several (env UNDERSTUDY_API)'))
    .addOption(add('--config <file>', "a node's configuration file (env UNDERSTUDY_CONFIG)"))
    .addOption(add('--data-dir <folder>', 'folder of a cluster of this machine'))
    .addOption(add('--cluster <name>', 'name of a cluster of this machine'))
    .addOption(add('--token-file <file>', 'file with the token that changes need (env UNDERSTUDY_TOKEN_FILE)'))
    .addOption(add('--insecure', 'send the token also to addresses that are not encrypted'))
    .addOption(add('--ca <file>', 'authority that signed the https certificates (env UNDERSTUDY_CA)'))
    .addOption(add('--cert <file>', 'own certificate, where agents ask for one (env UNDERSTUDY_CERT)'))
    .addOption(add('--key <file>', 'key of that certificate (env UNDERSTUDY_KEY)'));
}

/** Appends examples to a command's help. Every command has some; a test sees to it. */
export function withExamples(
  command: Command,
  examples: readonly (readonly [line: string, meaning: string])[],
): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, meaning]) =>
    `  ${line.padEnd(width)}  ${meaning === '' ? '' : `# ${meaning}`}`.trimEnd(),
  );
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

/** Reads a whole number between two bounds. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It has to be a whole number from ${min} to ${max}.`);
  };
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, m: 60_000, h: 3_600_000 };

/** Reads a duration such as `500ms`, `10s`, `2min`; a bare number is seconds. Returns milliseconds. */
export function duration(minMs: number, maxMs: number): (text: string) => number {
  return (text) => {
    const [, number = '', unit = 's'] = /^(\d+(?:\.\d+)?) ?(ms|s|min|m|h)?$/.exec(text) ?? [];
    const value = number === '' ? Number.NaN : Number(number) * (unitMs[unit] ?? Number.NaN);
    if (value >= minMs && value <= maxMs) return Math.round(value);
    throw new InvalidArgumentError(
      `It has to be a duration like 500ms, 10s or 2min, from ${minMs} ms to ${maxMs / 1000} s.`,
    );
  };
}

/** Reads a moment: ISO 8601 with a zone, `03:00` (the next one, local time), or `+10min`. Returns ISO 8601 in UTC. */
export function moment(nowWallMs: () => number): (text: string) => string {
  return (text) => {
    const relative = /^\+(.+)$/.exec(text)?.[1];
    if (relative !== undefined) return new Date(nowWallMs() + duration(0, 30 * 86_400_000)(relative)).toISOString();
    const clock = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text);
    if (clock !== null) return nextTimeOfDay(nowWallMs(), Number(clock[1]), Number(clock[2]));
    const isIso = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text);
    if (isIso && !Number.isNaN(Date.parse(text))) return new Date(text).toISOString();
    throw new InvalidArgumentError('Write 2027-01-31T03:00:00+01:00 (with a zone), 03:00 (local time) or +10min.');
  };
}

function nextTimeOfDay(nowWallMs: number, hours: number, minutes: number): string {
  const next = new Date(nowWallMs);
  next.setHours(hours, minutes, 0, 0);
  if (next.getTime() <= nowWallMs) next.setDate(next.getDate() + 1);
  return next.toISOString();
}
