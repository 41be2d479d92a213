import { dirname, join } from 'node:path';
import { reasonOf } from '@understudy/base';
import type { LogEnd } from '@understudy/core';
import {
  copyFile,
  entryAt,
  freeBytes,
  makeFolder,
  noteKept,
  removeTree,
  siblingPath,
  syncFolder,
} from '@understudy/engine/host';
import { binlogName, logFiles } from '../disk/binlog-files.ts';
import { filesToRecover } from '../disk/checkpoint.ts';
import type { DataIdentity } from '../disk/identity.ts';
import { otherWriter, serverIdOf, type Writer } from '../disk/writer.ts';
import type { Instance } from '../instance.ts';
import { isNewer, type ServerPrograms } from '../programs.ts';
import { type LogPlace, namesOf, tailFolder, writeOut } from './keep.ts';

/** How a server is started. */
export type StartPlan =
  | { readonly kind: 'whole'; readonly writer: Writer }
  /** Its recovery cuts off what is in the log and not in the tables; `kept` has the files of the log as they were. */
  | { readonly kind: 'cut'; readonly writer: Writer; readonly kept: string };

/** Where the events of a file begin. */
const firstPosition = 4;
/** The first version of each series whose recovery cuts when it is told that this is a replica (MDEV-33465); of 11.0 and 11.3 none does. */
const cutsSince = ['10.11.9', '11.1.6', '11.2.5', '11.4.3', '11.5.2'] as const;
const couldNotCut = /Cannot truncate the binary log/;

/** Whether the recovery of these programs can cut off the end of the log. MySQL's only goes on with it. */
export function canCut({ flavour, version }: Pick<ServerPrograms, 'flavour' | 'version'>): boolean {
  if (flavour !== 'mariadb') return false;
  const since = cutsSince.find((each) => !isNewer(version, each, 2) && !isNewer(each, version, 2));
  return since === undefined ? isNewer(version, '11.5.2', 2) : !isNewer(since, version);
}

/**
 * Whether a data directory may be started so that its log loses what its tables do not hold yet. The record has given leave for what was
 * written before an epoch; the server must have been opened as a primary before that, and must have received nothing since: recovery
 * cannot tell what an applier wrote, and that may have been acknowledged. An ordered end (`end`) has nothing to cut.
 */
export function mayCut({ opened, end }: Pick<DataIdentity, 'opened' | 'end'>, leave: LogEnd): boolean {
  return leave.kind === 'discard' && opened !== null && opened.epoch < leave.before && end === null;
}

/**
 * How to start, with a copy of the end of the log beside the data directory if it may be cut off. Where anything stands against it the
 * server keeps its log, and is copied anew if that has diverged.
 */
export async function planStart(instance: Instance, identity: DataIdentity, leave: LogEnd): Promise<StartPlan> {
  const { options, programs, log } = instance;
  const whole: StartPlan = { kind: 'whole', writer: identity.writer };
  const { opened } = identity;
  if (opened === null || !mayCut(identity, leave) || !canCut(programs)) return whole;
  const writer = otherWriter(opened.writer);
  if (serverIdOf(options.serverId, writer) === null) return whole;
  try {
    const kept = await keepFiles(instance);
    return kept === null ? whole : { kind: 'cut', writer, kept };
  } catch (error) {
    const message = 'The end of the log could not be kept aside, so it is not cut off either.';
    log({ level: 'warn', message, fields: { reason: reasonOf(error) } });
    return whole;
  }
}

/** Copies the files that recovery may change: it changes them in place. Null when they are not known, or there is no room for them. */
async function keepFiles({ options, owner }: Instance): Promise<string | null> {
  const { dataDir, aside } = options;
  const files = await filesToRecover(dataDir);
  if (files === null) return null;
  let bytes = 0;
  for (const name of files) bytes += (await entryAt(join(dataDir, name)))?.size ?? 0;
  if (bytes > aside.maxBytes || bytes * 2 > (await freeBytes(dirname(dataDir)))) return null;
  const folder = siblingPath(dataDir, 'fork');
  try {
    await makeFolder(folder, owner);
    for (const name of files) {
      await copyFile(join(dataDir, name), join(folder, name), owner, { bytesMax: bytes });
    }
    const why = 'the end of the log as it was before recovery cut off what another leader does not have';
    await noteKept(folder, { why, history: 'unproven' });
    await syncFolder(folder);
    await syncFolder(dirname(folder));
    return folder;
  } catch (error) {
    await removeTree(folder);
    throw error;
  }
}

/**
 * What became of the log in a start that failed; the copy goes when that was nothing. `refused`: a change that cannot be rolled back (of a
 * table that is not InnoDB's, or of a definition) lies behind the cut, so the server did not start, and has changed nothing.
 */
export async function endOfCut(instance: Instance, plan: StartPlan): Promise<'cut' | 'refused' | 'none'> {
  if (plan.kind === 'whole') return 'none';
  if ((await cutPoint(instance, plan.kept)) !== null) return 'cut';
  await forgetCopy(plan);
  return couldNotCut.test(await instance.process.firstWords()) ? 'refused' : 'none';
}

/** Removes the copy of a log that was not cut. */
export async function forgetCopy(plan: StartPlan): Promise<void> {
  if (plan.kind === 'cut') await removeTree(plan.kept);
}

/** Where the log was cut: the first of its files that has become shorter. A server never writes on in a file of an earlier run. */
async function cutPoint({ options }: Instance, kept: string): Promise<LogPlace | null> {
  for (const file of await logFiles(kept, binlogName)) {
    const before = (await entryAt(join(kept, file)))?.size ?? 0;
    const now = (await entryAt(join(options.dataDir, file)))?.size ?? 0;
    if (now < before) return { file, position: Math.max(firstPosition, now) };
  }
  return null;
}

/** Looks, once the server answers, what recovery has cut off, and writes that out. Failures are logged: the files are there all the same. */
export async function tellCut(instance: Instance, plan: StartPlan, signal: AbortSignal): Promise<void> {
  if (plan.kind === 'whole') return;
  const from = await cutPoint(instance, plan.kept);
  if (from === null) return forgetCopy(plan);
  const { log } = instance;
  const folder = join(plan.kept, tailFolder);
  const cut = 'The end of the log, which the tables did not hold yet, was cut off, as another member leads since.';
  const back = 'What was acknowledged of it comes back from the leader.';
  try {
    const gtids = await writeOut(instance, plan.kept, { isHeld: () => false, from }, signal);
    // Half an event at the very end goes with every recovery.
    if (gtids.length === 0) return await forgetCopy(plan);
    const message = `${cut} It is written out in ${folder}: ${namesOf(gtids)}. ${back}`;
    log({ level: 'warn', message, fields: { folder, transactions: gtids.length } });
  } catch (error) {
    const message = `${cut} It could not be written out; the log is in ${plan.kept}. ${back}`;
    log({ level: 'warn', message, fields: { reason: reasonOf(error) } });
  }
  await instance.kept.tidy();
}
