import { text as readAll } from 'node:stream/consumers';
import { reasonOf } from '@understudy/base';
import { z } from 'zod';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type Column, table } from '../output/table.ts';
import { plural } from '../output/text.ts';
import { connectToPrimary, driverFor } from '../sql/connect.ts';
import { serversOf } from '../sql/hosts.ts';
import { loginFor } from '../sql/login.ts';
import type { Driver, Result, Session } from '../sql/session.ts';

const optionsSchema = targetOptionsSchema.extend({
  user: z.string().optional(),
  database: z.string().optional(),
  on: z.string().optional(),
});
type Options = z.infer<typeof optionsSchema>;

const connectTimeoutMs = 3000;

/** `understudy sql` */
export async function sql(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const { session, driver } = await open(context, options);
  try {
    const results = await run(session, driver, args[0] ?? (await readAll(context.io.input)));
    if (context.format === 'json') printJson(context, results.map(jsonOf));
    else for (const result of results) show(context, result);
  } finally {
    await session.close();
  }
  return EXIT.done;
}

interface Opened {
  readonly session: Session;
  readonly driver: Driver;
}

async function open(context: Context, options: Options): Promise<Opened> {
  const target = await findTarget(options, context.io.env);
  const { engine, hosts } = await serversOf(target);
  const [driver, login] = [await driverFor(engine), await loginFor(engine, target, options, context.io.env)];
  if (options.on === undefined) {
    const session = await connectToPrimary(driver, hosts, login, connectTimeoutMs);
    if (session !== null) return { session, driver };
    throw new CliError('UNREACHABLE', 'No server of the cluster is open for writes now.', {
      next: 'See: understudy status',
      retry: 'safe',
    });
  }
  const host = hosts.find(({ name }) => name === options.on);
  if (host === undefined) {
    const known = hosts.map(({ name }) => name).join(', ');
    throw new CliError('USAGE', `There is no member "${options.on}".`, { next: `Members: ${known}.` });
  }
  const session = await driver.connect(host, login, connectTimeoutMs).catch((error: unknown) => {
    if (error instanceof CliError) throw error;
    const message = `The server of ${host.name} (${host.host}:${host.port}) cannot be reached: ${reasonOf(error)}.`;
    throw new CliError('UNREACHABLE', message, { next: 'See: understudy status', cause: error });
  });
  return { session, driver };
}

/** How the three products say that a server is a replica, or closed. */
const closedToWrites = /read-only (option|transaction|mode)/i;

async function run(session: Session, driver: Driver, statement: string): Promise<readonly Result[]> {
  if (statement.trim() === '')
    throw new CliError('USAGE', 'There is no statement.', {
      next: 'Write it as an argument, or send it by standard input.',
    });
  try {
    return await session.run(statement);
  } catch (error) {
    // A connection that broke says nothing about whether a COMMIT on its way was carried out.
    const isServers = driver.isRefusal(error);
    const next = isServers
      ? closedToWrites.test(reasonOf(error))
        ? 'This server takes no writes now. Leave out --on to reach the one that does.'
        : 'Correct the statement.'
      : 'The connection broke: whether the statement was carried out is not known. Look before repeating it.';
    throw new CliError('REQUEST_FAILED', reasonOf(error), {
      next,
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

function show(context: Context, { command, columns: names, rows, rowCount }: Result): void {
  if (names.length === 0) {
    print(context, [`${command}${rowCount === null ? '' : ` ${rowCount}`}`]);
    return;
  }
  const columns: Column<readonly unknown[]>[] = names.map((name, index) => ({
    title: name,
    dropOrder: 'never',
    cell: (row) => cellText(row[index]),
  }));
  const [title = '', ...lines] = table(columns, rows, context.io.out.columns());
  print(context, [context.style.dim(title), ...lines]);
  note(context, `(${plural(rows.length, 'row')})`);
}

function jsonOf({ command, columns, rows, rowCount }: Result): object {
  return {
    command,
    rowCount,
    rows: rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]]))),
  };
}
