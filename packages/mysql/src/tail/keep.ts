import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';
import type { Member } from '@understudy/core';
import { binlogName, logFiles, relayLogName } from '../disk/binlog-files.ts';
import { positionOfEnd, readIdentity } from '../disk/identity.ts';
import { reasonOf } from '../errors.ts';
import type { Instance } from '../instance.ts';
import { endOf, tail as lastWords, spawnProgram } from '../process/program.ts';
import { TransactionFilter } from './filter.ts';
import { historyOf, type IsHeld } from './history.ts';

/** The folder, in a data directory that was moved aside, with what only that one held. */
export const tailFolder = 'unacknowledged';

const timeoutMs = 600_000;
/** Files without a transaction, as a restart leaves them, are passed over. */
const filesMax = 64;
const bytesMax = 1024 ** 3;

/**
 * Writes out what a data directory that has been replaced held and `from` does not: the transactions of its binary log and of its relay log,
 * as statements that could be carried out again, with every row in comments. Failures are logged: the logs themselves are there all the same.
 */
export async function keepTail(instance: Instance, from: Member, aside: string, signal: AbortSignal): Promise<void> {
  const { log, options, dialect } = instance;
  const folder = join(aside, tailFolder);
  try {
    const history = await historyOf(options, dialect, from);
    if (history === null) throw new Error(`what ${from.id} holds is not known`);
    const end = (await readIdentity(aside))?.end ?? null;
    if (end !== null && history.holds(positionOfEnd(end))) return;
    const { isHeld } = history;
    const gtids = await writeOut(instance, aside, isHeld, signal);
    if (gtids.length === 0) return;
    const message = `What only this member held is written out in ${folder}: ${namesOf(gtids)}.`;
    log({ level: 'warn', message, fields: { folder, transactions: gtids.length } });
  } catch (error) {
    const message = `What only this member held could not be written out; its logs are in ${aside}.`;
    log({ level: 'warn', message, fields: { reason: reasonOf(error) } });
  }
}

/**
 * Writes out what the logs in a folder hold and `isHeld` does not know, in a folder of theirs.
 *
 * @returns the GTIDs of that.
 */
export async function writeOut(
  instance: Instance,
  folder: string,
  isHeld: IsHeld,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const kept = [];
  for (const name of [relayLogName, binlogName]) kept.push(...(await keepLog(instance, folder, name, isHeld, signal)));
  if (kept.length === 0) await rm(join(folder, tailFolder), { recursive: true, force: true });
  return [...new Set(kept)];
}

/** Transactions as a message names them: how many, and some of them. */
export function namesOf(gtids: readonly string[]): string {
  const names = gtids.length > 4 ? `${gtids.slice(0, 2).join(', ')} … ${gtids.at(-1)}` : gtids.join(', ');
  return `${gtids.length} transaction${gtids.length === 1 ? '' : 's'} (${names})`;
}

/** Goes back through the files until one has transactions and none of them is wanted. @returns the GTIDs that were kept, newest file first. */
async function keepLog(
  instance: Instance,
  aside: string,
  name: string,
  isHeld: IsHeld,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const kept: string[] = [];
  for (const file of (await logFiles(aside, name)).slice(-filesMax).toReversed()) {
    signal.throwIfAborted();
    const filter = new TransactionFilter((gtid) => !isHeld(gtid));
    await decode(instance, join(aside, file), join(aside, tailFolder, `${file}.sql`), filter, signal);
    kept.push(...filter.kept);
    if (filter.seen > 0 && filter.kept.length === 0) break;
  }
  return kept;
}

/** Runs the server's own program on one file of a log; `target` is there afterwards only when something was let through. */
async function decode(
  { programs, owner }: Instance,
  file: string,
  target: string,
  filter: TransactionFilter,
  signal: AbortSignal,
): Promise<void> {
  const { binlog, libraryPath } = programs;
  if (binlog === null) throw new Error('there is no program that reads binary logs beside the server');
  await mkdir(join(target, '..'), { recursive: true, mode: 0o700 });
  const options = { home: join(target, '..', '..'), libraryPath, owner, timeoutMs, signal };
  const child = spawnProgram(binlog, ['--no-defaults', '-vv', file], options);
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString('utf8')).slice(-4096);
  });
  const end = endOf(child, binlog, options);
  end.catch(() => undefined);
  const out = createWriteStream(target, { mode: 0o600 });
  const write = async (lines: readonly string[]): Promise<void> => {
    if (lines.length === 0 || out.bytesWritten > bytesMax) return;
    if (!out.write(`${lines.join('\n')}\n`)) await once(out, 'drain');
  };
  try {
    // Text in any encoding: a byte is a character here, and comes out as it went in.
    child.stdout.setEncoding('latin1');
    out.setDefaultEncoding('latin1');
    for await (const line of createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY })) {
      await write(filter.push(line));
    }
    await write(filter.end());
  } finally {
    out.end();
    await finished(out).catch(() => child.kill('SIGKILL'));
  }
  const ended = await end;
  if (filter.kept.length === 0) await rm(target, { force: true });
  else await chmod(target, 0o600);
  // The end of a log that a crash cut off is an error to the program, after everything that can be read.
  if (ended.kind === 'late' || (ended.code !== 0 && filter.seen === 0)) {
    throw new Error(`${basename(binlog)} could not read ${basename(file)}: ${lastWords(words)}`);
  }
}
