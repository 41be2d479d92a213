import { text as readAll } from 'node:stream/consumers';
import type pg from 'pg';
import { z } from 'zod';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { CliError, codeOf, reasonOf } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type Column, table } from '../output/table.ts';
import { plural } from '../output/text.ts';
import { close, connect, connectToPrimary, type Session } from '../sql/connect.ts';
import { hostsOf } from '../sql/hosts.ts';
import { loginFor } from '../sql/login.ts';

const optionsSchema = targetOptionsSchema.extend({ user: z.string(), database: z.string(), on: z.string().optional() });
type Options = z.infer<typeof optionsSchema>;

const connectTimeoutMs = 3000;

/** `understudy sql` */
export async function sql(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const session = await open(context, options);
  try {
    const results = await run(session, args[0] ?? (await readAll(context.io.input)));
    if (context.format === 'json') printJson(context, results.map(jsonOf));
    else for (const result of results) show(context, result);
  } finally {
    await close(session.client);
  }
  return EXIT.done;
}

async function open(context: Context, options: Options): Promise<Session> {
  const target = await findTarget(options, context.io.env);
  const [hosts, login] = [await hostsOf(target), await loginFor(target, options, context.io.env)];
  if (options.on === undefined) {
    const session = await connectToPrimary(hosts, login, connectTimeoutMs);
    if (session !== null) return session;
    throw new CliError('UNREACHABLE', 'No server of the cluster is open for writes now.', 'See: understudy status', {
      retry: 'safe',
    });
  }
  const host = hosts.find(({ name }) => name === options.on);
  if (host === undefined) {
    const known = hosts.map(({ name }) => name).join(', ');
    throw new CliError('USAGE', `There is no member "${options.on}".`, `Members: ${known}.`);
  }
  return connect(host, login, connectTimeoutMs).catch((error: unknown) => {
    if (error instanceof CliError) throw error;
    const message = `The server of ${host.name} (${host.host}:${host.port}) cannot be reached: ${reasonOf(error)}.`;
    throw new CliError('UNREACHABLE', message, 'See: understudy status', { cause: error });
  });
}

async function run({ client }: Session, statement: string): Promise<readonly pg.QueryArrayResult[]> {
  if (statement.trim() === '')
    throw new CliError('USAGE', 'There is no statement.', 'Write it as an argument, or send it by standard input.');
  try {
    const results: pg.QueryArrayResult | pg.QueryArrayResult[] = await client.query({
      text: statement,
      rowMode: 'array',
    });
    return Array.isArray(results) ? results : [results];
  } catch (error) {
    // A connection that broke says nothing about whether a COMMIT on its way was carried out.
    const isServers = /^[0-9A-Z]{5}$/.test(codeOf(error) ?? '') && !(codeOf(error) ?? '').startsWith('57P');
    const next = isServers
      ? 'Correct the statement.'
      : 'The connection broke: whether the statement was carried out is not known. Look before repeating it.';
    throw new CliError('REQUEST_FAILED', reasonOf(error), next, {
      retry: isServers ? 'unsafe' : 'unknown',
      cause: error,
    });
  }
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return '∅';
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function show(context: Context, { command, fields, rows, rowCount }: pg.QueryArrayResult): void {
  if (fields.length === 0) {
    print(context, [`${command}${rowCount === null ? '' : ` ${rowCount}`}`]);
    return;
  }
  const columns: Column<unknown[]>[] = fields.map(({ name }, index) => ({
    title: name,
    dropOrder: 'never',
    cell: (row) => cellText(row[index]),
  }));
  const [title = '', ...lines] = table(columns, rows, context.io.out.columns());
  print(context, [context.style.dim(title), ...lines]);
  note(context, `(${plural(rows.length, 'row')})`);
}

function jsonOf({ command, fields, rows, rowCount }: pg.QueryArrayResult): object {
  const names = fields.map(({ name }) => name);
  return {
    command,
    rowCount,
    rows: rows.map((row) => Object.fromEntries(names.map((name, index) => [name, row[index]]))),
  };
}
