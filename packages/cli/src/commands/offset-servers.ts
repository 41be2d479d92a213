import { readFileSync } from 'node:fs';
import { reasonOf } from '@understudy/base';
import { type Account, type Login, OffsetServer, parseLogin, parseOptionFile } from '@understudy/pair';
import { z } from 'zod';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';

/** Which servers, as the parser gives it. */
export const offsetOptionsSchema = z.object({ primary: z.string(), replica: z.string() });

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const next = 'Name an option file, or write mysql://user@host:port.';
    throw new CliError('FILE_UNREADABLE', `${path} cannot be read: ${reasonOf(error)}.`, { next, cause: error });
  }
}

export function loginOf(context: Context, text: string): Login {
  return parseLogin(text, context.io.env, readText);
}

/** The replication account of a file. */
export function accountOf(path: string): Account {
  const { user, password } = parseOptionFile(readText(path));
  if (user !== undefined && password !== undefined) return { user, password };
  throw new CliError('FILE_UNREADABLE', `${path} has no user and password in a [client] group.`, {
    next: 'Write both into it, one a line.',
  });
}

/** Runs `work` with both servers connected. @throws PairError `OFFSET_REFUSED` */
export async function withServers<T>(
  context: Context,
  { primary, replica }: z.infer<typeof offsetOptionsSchema>,
  work: (servers: { readonly primary: OffsetServer; readonly replica: OffsetServer }) => Promise<T>,
): Promise<T> {
  const first = await OffsetServer.connect('primary', loginOf(context, primary));
  try {
    const second = await OffsetServer.connect('replica', loginOf(context, replica));
    try {
      return await work({ primary: first, replica: second });
    } finally {
      await second.close();
    }
  } finally {
    await first.close();
  }
}
