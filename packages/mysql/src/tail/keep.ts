import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { codeOf, reasonOf } from '@understudy/base';
import type { Member, MemberId } from '@understudy/core';
import {
  createFile,
  endOf,
  type KeptNote,
  makeFolder,
  noteKept,
  removeFile,
  removeTree,
  renameTo,
} from '@understudy/engine/host';
import { binlogName, logFiles, relayLogName } from '../disk/binlog-files.ts';
import { positionOfEnd, readIdentity } from '../disk/identity.ts';
import type { Instance } from '../instance.ts';
import { tail as lastWords, spawnProgram } from '../process/program.ts';
import { TransactionFilter } from './filter.ts';
import { type History, historyOf, type IsHeld } from './history.ts';
import { TransactionSearch } from './search.ts';

/** The folder, in a data directory that was moved aside, with what only that one held. */
export const tailFolder = 'unacknowledged';

const { priority } = constants;
const timeoutMs = 600_000;
/** Files without a transaction, as a restart leaves them, are passed over. */
const filesMax = 64;
const bytesMax = 1024 ** 3;

/** What is about to be replaced, and what the member that the copy comes from holds of it. */
export interface Replaced {
  readonly from: MemberId;
  readonly note: KeptNote;
  /** Null when that is not known. */
  readonly history: History | null;
}

/** Asks `from` what it holds of the data directory of a stopped server. Failures are logged: then all of it is kept. */
export async function lookAtReplaced(instance: Instance, from: Member): Promise<Replaced> {
  const { options, dialect, log } = instance;
  const history = await historyOf(options, dialect, from).catch((error: unknown) => {
    log({ level: 'warn', message: `What ${from.id} holds is not known.`, fields: { reason: reasonOf(error) } });
    return null;
  });
  const end = (await readIdentity(options.dataDir))?.end ?? null;
  const isContained = end !== null && history?.holds(positionOfEnd(end)) === true;
  const why = `replaced by a copy of ${from.id}, which ${isContained ? 'held all of it' : 'may not hold all of it'}`;
  return { from: from.id, note: { why, history: isContained ? 'contained' : 'unproven' }, history };
}

/**
 * Sees to it that what a data directory that has been replaced held and the source does not is written out: the transactions of its binary
 * log and of its relay log, as statements that could be carried out again, with every row in comments. That is read later. Failures are
 * logged: the logs themselves are there all the same.
 */
export function keepTail(instance: Instance, { from, note, history }: Replaced, aside: string): void {
  if (note.history === 'contained') return;
  if (history === null) {
    notKept(instance, aside, new Error(`what ${from} holds is not known`));
    return;
  }
  instance.tails.begin((signal) =>
    writeTail(instance, aside, from, history.isHeld, signal).catch((error) => notKept(instance, aside, error)),
  );
}

function notKept({ log }: Instance, aside: string, error: unknown): void {
  const message = `What only this member held could not be written out; its logs are in ${aside}.`;
  log({ level: 'warn', message, fields: { reason: reasonOf(error) } });
}

async function writeTail(
  instance: Instance,
  aside: string,
  from: MemberId,
  isHeld: IsHeld,
  signal: AbortSignal,
): Promise<void> {
  const gtids = await writeOut(instance, aside, { isHeld, from: null }, signal);
  if (gtids.length > 0) {
    const folder = join(aside, tailFolder);
    const message = `What only this member held is written out in ${folder}: ${namesOf(gtids)}.`;
    instance.log({ level: 'warn', message, fields: { folder, transactions: gtids.length } });
    return;
  }
  // On a line of MariaDB's what only one member has is at its end, where its logs were searched.
  if (instance.dialect.gtids === 'sets') return;
  await noteKept(aside, {
    why: `replaced by a copy of ${from}, which held all that its logs name`,
    history: 'contained',
  });
  await instance.kept.tidy();
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
  if (kept.length === 0) await removeTree(join(folder, tailFolder));
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
  const isWanted = (gtid: string): boolean => !isHeld(gtid);
  for (const file of (await logFiles(aside, name)).slice(-filesMax).toReversed()) {
    signal.throwIfAborted();
    const path = join(aside, file);
    if (from?.file === file) return [...kept, ...(await decode(instance, path, from.position, isWanted, signal))];
    const { seen, firstAt } = await look(instance, path, isWanted, signal);
    if (firstAt !== null) kept.push(...(await decode(instance, path, firstAt, isWanted, signal)));
    else if (seen > 0) break;
  }
  return kept;
}

/** Looks for the first transaction that is wanted, without the rows of those before it. */
async function look(
  instance: Instance,
  path: string,
  isWanted: (gtid: string) => boolean,
  signal: AbortSignal,
): Promise<TransactionSearch> {
  const search = new TransactionSearch(isWanted);
  await readLog(instance, path, ['--base64-output=decode-rows'], signal, async (text) => {
    for await (const piece of text) search.push(piece);
    return search.seen;
  });
  return search;
}

/** Writes out what is wanted of one file from a place on, into a file that is there afterwards only when that was something. @returns its GTIDs. */
async function decode(
  instance: Instance,
  path: string,
  position: number,
  isWanted: (gtid: string) => boolean,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const target = join(dirname(path), tailFolder, `${basename(path)}.sql`);
  const partial = `${target}.partial`;
  await makeFolder(dirname(target), instance.owner);
  const filter = new TransactionFilter(isWanted);
  await removeTree(partial);
  const out = (await createFile(partial, instance.owner)).createWriteStream();
  const written = finished(out);
  // Awaited below.
  written.catch(() => undefined);
  // It comes out as it went in.
  out.setDefaultEncoding('latin1');
  const write = async (lines: readonly string[]): Promise<void> => {
    if (lines.length === 0 || out.bytesWritten > bytesMax) return;
    if (!out.write(`${lines.join('\n')}\n`)) await once(out, 'drain');
  };
  try {
    await readLog(instance, path, ['-vv', `--start-position=${position}`], signal, async (text) => {
      for await (const line of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
        await write(filter.push(line));
      }
      await write(filter.end());
      return filter.seen;
    });
  } finally {
    out.end();
    await written.catch(() => undefined);
    if (filter.kept.length === 0 || signal.aborted) await removeFile(partial);
  }
  await written;
  if (filter.kept.length > 0) await renameTo(partial, target);
  return filter.kept;
}

/**
 * Runs the server's own program on one file of a log, after everything else that this machine has to do.
 *
 * @param read reads what the program writes, and says how many transactions that were.
 */
async function readLog(
  { programs, owner }: Instance,
  path: string,
  choice: readonly string[],
  signal: AbortSignal,
  read: (text: Readable) => Promise<number>,
): Promise<void> {
  const { binlog, libraryPath } = programs;
  if (binlog === null) throw new Error('there is no program that reads binary logs beside the server');
  const options = { home: dirname(path), libraryPath, owner, timeoutMs, signal };
  const child = spawnProgram(binlog, ['--no-defaults', ...choice, path], options);
  if (child.pid !== undefined) makeModest(child.pid);
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString('utf8')).slice(-4096);
  });
  const end = endOf(child, binlog, options);
  end.catch(() => undefined);
  // Text in any encoding: a byte is a character here.
  const seen = await read(child.stdout.setEncoding('latin1')).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  const ended = await end;
  signal.throwIfAborted();
  // The end of a log that a crash cut off is an error to the program, after everything that can be read.
  if (ended.kind === 'late' || ended.code === null || (ended.code !== 0 && seen === 0)) {
    throw new Error(`${basename(binlog)} could not read ${basename(path)}: ${lastWords(words)}`);
  }
}

/** It may have ended already. */
function makeModest(pid: number): void {
  try {
    setPriority(pid, priority.PRIORITY_LOW);
  } catch (error) {
    if (codeOf(error) !== 'ERR_SYSTEM_ERROR') throw error;
  }
}
