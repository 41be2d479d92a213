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
    const gtids = await writeOut(instance, aside, { isHeld, from: null }, signal);
    if (gtids.length === 0) return;
    const message = `What only this member held is written out in ${folder}: ${namesOf(gtids)}.`;
    log({ level: 'warn', message, fields: { folder, transactions: gtids.length } });
  } catch (error) {
    const message = `What only this member held could not be written out; its logs are in ${aside}.`;
    log({ level: 'warn', message, fields: { reason: reasonOf(error) } });
  }
}

/** A place in the binary log. */
export interface LogPlace {
  readonly file: string;
  readonly position: number;
}

/** Which transactions of the logs in a folder are wanted: those that are not held, of the binary log only from a place on. */
interface Wanted {
  readonly isHeld: IsHeld;
  readonly from: LogPlace | null;
}

/**
 * Writes out what is wanted of the logs in a folder, in a folder of theirs.
 *
 * @returns the GTIDs of that.
 */
export async function writeOut(
  instance: Instance,
  folder: string,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const kept = [];
  for (const name of [relayLogName, binlogName]) kept.push(...(await keepLog(instance, folder, name, wanted, signal)));
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
  { isHeld, from }: Wanted,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const kept: string[] = [];
  for (const file of (await logFiles(aside, name)).slice(-filesMax).toReversed()) {
    signal.throwIfAborted();
    const filter = new TransactionFilter((gtid) => !isHeld(gtid));
    const position = from?.file === file ? from.position : null;
    await decode(
      instance,
      { path: join(aside, file), position },
      join(aside, tailFolder, `${file}.sql`),
      filter,
      signal,
    );
    kept.push(...filter.kept);
    if (position !== null || (filter.seen > 0 && filter.kept.length === 0)) break;
  }
  return kept;
}

/** A file of a log, and where to begin in it: null: at its beginning. */
interface LogFile {
  readonly path: string;
  readonly position: number | null;
}

/** Runs the server's own program on one file of a log; `target` is there afterwards only when something was let through. */
async function decode(
  { programs, owner }: Instance,
  { path, position }: LogFile,
  target: string,
  filter: TransactionFilter,
  signal: AbortSignal,
): Promise<void> {
  const { binlog, libraryPath } = programs;
  if (binlog === null) throw new Error('there is no program that reads binary logs beside the server');
  await mkdir(join(target, '..'), { recursive: true, mode: 0o700 });
  const options = { home: join(target, '..', '..'), libraryPath, owner, timeoutMs, signal };
  const start = position === null ? [] : [`--start-position=${position}`];
  const child = spawnProgram(binlog, ['--no-defaults', '-vv', ...start, path], options);
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
    throw new Error(`${basename(binlog)} could not read ${basename(path)}: ${lastWords(words)}`);
  }
}
