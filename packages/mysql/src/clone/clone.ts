import { dirname, join } from 'node:path';
import { type Member, memberId } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import {
  killProcessesWith,
  linksIn,
  moveAside,
  type Progress,
  removeLeftovers,
  removeTree,
  renameTo,
  requireRoom,
  siblingPath,
  siblings,
  syncFolder,
  unmarkIncomplete,
} from '@understudy/engine/host';
import { stopReplica } from '../commands/stop.ts';
import { type DataIdentity, writeIdentity } from '../disk/identity.ts';
import { inspectDisk } from '../disk/inspect.ts';
import { engineError } from '../errors.ts';
import type { Instance } from '../instance.ts';
import { mysqlProcess } from '../process/server-process.ts';
import type { Flavour } from '../programs.ts';
import { keepTail, lookAtReplaced } from '../tail/keep.ts';
import { copyByBackup } from './by-backup.ts';
import { copyByDump } from './by-dump.ts';
import { baseName, copyByPlugin } from './by-plugin.ts';
import type { CopyJob } from './copy-job.ts';
import { unavailable } from './copyable.ts';
import { askSource, type Source } from './source.ts';

/** How a whole database comes from another member into a new folder. */
type Copy = (instance: Instance, job: CopyJob & { readonly from: Member }) => Promise<void>;

/** MariaDB has no such plugin. */
const copies: Readonly<Record<Flavour, Copy>> = { mysql: copyByPlugin, mariadb: copyMariadb };

/** By files where that is possible, which is many times as fast as by statements. */
async function copyMariadb(instance: Instance, job: CopyJob & { readonly from: Member }): Promise<void> {
  const { openCopy, options, programs, log } = instance;
  const { from, target } = job;
  const request = { member: memberId(options.member), engine: programs.flavour, version: programs.version };
  try {
    if (openCopy === null) throw unavailable('Nothing is there to get files of another member with.');
    return await copyByBackup(instance, job, (signal) => openCopy(from, request, signal));
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'ENGINE_COPY_UNAVAILABLE') throw error;
    const message = `${from.id} is copied as statements, which takes longer than its files would: ${error.message}`;
    log({ level: 'warn', message });
    await removeTree(target);
  }
  await copyByDump(instance, job);
}

/**
 * Copies the whole database from another member into a folder beside the data directory; when it is complete and on disk, the present
 * directory is moved aside and the copy takes its place. A crash before that leaves the present directory as it was.
 *
 * @throws EngineError `ENGINE_CLONE_FAILED`, `ENGINE_DISK_FULL`, `ENGINE_UNREACHABLE`, `ENGINE_LOGIN_FAILED`; the unfinished copy is removed.
 */
export async function clone(instance: Instance, from: Member, progress: Progress, signal: AbortSignal): Promise<void> {
  const { options, programs } = instance;
  await requireReplaceable(instance);
  await removeUnfinished(instance);
  const target = siblingPath(options.dataDir, 'clone');
  try {
    const source = await askSource(instance, from, signal);
    if (source.bytes !== null) await requireRoom(target, source.bytes);
    signal.throwIfAborted();
    await stopReplica(instance);
    await copies[programs.flavour](instance, { ...source, from, target, totalBytes: source.bytes, progress, signal });
    signal.throwIfAborted();
    await writeIdentity(target, newIdentity(instance, source), instance.owner);
    // It may read what has to make room now.
    await instance.tails.end();
    const replaced = await lookAtReplaced(instance, from);
    const aside = await moveAside(options.dataDir, replaced.note);
    if (aside !== null) {
      instance.log({
        level: 'warn',
        message: `The data that the copy replaces is kept in ${aside}.`,
        fields: { aside, why: replaced.note.why },
      });
    }
    await renameTo(target, options.dataDir);
    await syncFolder(dirname(options.dataDir));
    await unmarkIncomplete(options.dataDir);
    instance.lines.forget();
    instance.starts.succeeded();
    if (aside !== null) keepTail(instance, replaced, aside);
  } catch (error) {
    await removeTree(target);
    throw engineError('ENGINE_CLONE_FAILED', `Copying the database from ${from.id}`, error, 'safe');
  } finally {
    await instance.kept.tidy();
  }
}

function newIdentity({ options, programs }: Instance, { systemId, made }: Source): DataIdentity {
  const { cluster, member } = options;
  const { flavour, version } = programs;
  const unopened = { writer: 'first', opened: null, end: null } as const;
  return { cluster, member, flavour, version, systemId, received: 'applied', made, ...unopened };
}

/** Makes sure, before anything is stopped, that what will be replaced is ours and can be replaced. */
async function requireReplaceable({ options, expected }: Instance): Promise<void> {
  const { dataDir } = options;
  const disk = await inspectDisk(dataDir, expected);
  if (disk.kind === 'refused' && disk.data !== 'damaged') {
    throw new EngineError('ENGINE_DATA_REFUSED', disk.problem);
  }
  const links = await linksIn(dataDir);
  if (links.length === 0) return;
  const text = `${links.join(', ')} in ${dataDir} lead to other places, and a copy would put what is there into ${dataDir} itself.`;
  throw new EngineError('ENGINE_DATA_REFUSED', text, { next: `Move it back into ${dataDir}.` });
}

/** Removes what an interrupted copy left, with the server that may still write it. */
async function removeUnfinished({ options, owner, programs, paths }: Instance): Promise<void> {
  const { server: program, libraryPath } = programs;
  for (const folder of await siblings(options.dataDir, 'clone')) {
    await killProcessesWith(`--target-dir=${folder}`);
    for (const dataDir of [folder, join(folder, baseName)]) {
      await mysqlProcess({ program, libraryPath, dataDir, logFile: paths.log, owner }).killLeftovers();
    }
  }
  await removeLeftovers(options.dataDir, 'clone');
}
