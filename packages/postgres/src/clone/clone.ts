import { dirname, join } from 'node:path';
import { pollUntil } from '@understudy/base';
import { type Member, memberId } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import {
  isMarkedIncomplete,
  linkedLog,
  makeFolder,
  makeLink,
  moveAside,
  removeData,
  removeLeftovers,
  renameTo,
  replaceFile,
  requireRoom,
  siblingPath,
  syncFolder,
  unmarkIncomplete,
} from '@understudy/engine/host';
import { readControlFile } from '../disk/control-file.ts';
import { writeIdentity } from '../disk/identity.ts';
import { noteCopied } from '../disk/opened.ts';
import { engineError } from '../errors.ts';
import type { Instance } from '../instance.ts';
import { slotName } from '../names.ts';
import { identify } from '../observe/query.ts';
import { type PgSession, sqlStateOf } from '../sql/session.ts';
import { BackupContent } from './backup-content.ts';
import { BaseBackup } from './base-backup.ts';
import { verifyManifest } from './manifest.ts';
import { logFolderFor, noteOfReplaced, requireReplaceable, stopReplaced } from './replaced.ts';
import { askSize, refuseTablespaces } from './room.ts';
import { memberPosition, openMember } from './source.ts';
import { Unpacker } from './unpack.ts';

export type Progress = (doneBytes: number, totalBytes: number | null) => void;

const timeoutMs = 10_000;
const backupSql = `BASE_BACKUP (LABEL 'understudy clone', PROGRESS, CHECKPOINT 'fast', WAL, WAIT false, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C')`;

/**
 * Copies the whole database from another member, over the replication protocol, into a folder beside the data directory; when
 * every file is there with the checksum that the source names, and on disk, the present directory is moved aside and the copy
 * takes its place. A crash before that leaves the present directory as it was. Nothing is stopped, and nothing asked of the source that
 * costs it something, before it is known that there is room.
 *
 * @throws EngineError `ENGINE_CLONE_FAILED`, `ENGINE_DISK_FULL`, `ENGINE_UNREACHABLE`, `ENGINE_LOGIN_FAILED`; the unfinished copy is removed.
 */
export async function clone(instance: Instance, from: Member, progress: Progress, signal: AbortSignal): Promise<void> {
  const { options, owner } = instance;
  await requireReplaceable(instance);
  await removeLeftovers(options.dataDir, 'clone');
  const target = siblingPath(options.dataDir, 'clone');
  const session = await openMember(instance, from, 'replication');
  try {
    await requireSameMajor(instance, session, from);
    await requireFit(instance, from);
    const own = await stopReplaced(instance);
    const wasIncomplete = await isMarkedIncomplete(options.dataDir);
    const note = wasIncomplete ? ofRewind : noteOfReplaced(from.id, own, await memberPosition(session));
    await makeFolder(target, owner);
    await linkLog(instance, target);
    await receive(instance, session, target, progress, signal);
    await adoptCopy(instance, target);
    const aside = await moveAside(options.dataDir, note);
    await renameTo(target, options.dataDir);
    await syncFolder(dirname(options.dataDir));
    await unmarkIncomplete(options.dataDir);
    instance.starts.succeeded();
    if (aside !== null) {
      instance.log({ level: 'warn', message: `The data that the copy replaces is kept in ${aside}: ${note.why}.` });
    }
  } catch (error) {
    await removeData(target, options.dataDir);
    throw engineError('ENGINE_CLONE_FAILED', `Copying the database from ${from.id}`, error, 'safe');
  } finally {
    await session.close();
    await instance.kept.tidy();
  }
}

/** The log from where it left the history on was kept before the rewind began. */
const ofRewind = {
  why: 'a rewind of it was not finished; the log that only it had is kept apart',
  history: 'contained',
} as const;

async function requireFit(instance: Instance, from: Member): Promise<void> {
  const size = await askSize(instance, from);
  if (size === null) return;
  if (size.tablespaces > 0) refuseTablespaces([`${size.tablespaces} in pg_tblspc`]);
  await requireRoom(instance.options.dataDir, size.bytes);
}

async function linkLog(instance: Instance, target: string): Promise<void> {
  const folder = await logFolderFor(instance);
  if (folder !== null) await makeLink(join(target, linkedLog), folder);
}

async function receive(
  instance: Instance,
  session: PgSession,
  target: string,
  progress: Progress,
  signal: AbortSignal,
) {
  const unpacker = new Unpacker(target, instance.owner);
  try {
    const source = await identify(session, timeoutMs);
    await reserveLog(session, instance);
    const manifest = await unpackBackup(session, unpacker, target, progress, signal);
    const problem = verifyManifest(manifest, unpacker.files);
    if (problem !== null) throw new Error(`the copy is not identical to the source: ${problem}`);
    const control = await readControlFile(target);
    if (control.systemId !== source.systemId) throw new Error('the source changed while it was copied');
    signal.throwIfAborted();
  } finally {
    await unpacker.abandon();
  }
}

async function requireSameMajor(instance: Instance, session: PgSession, from: Member): Promise<void> {
  const number = Number((await session.row('SHOW server_version_num', timeoutMs)).server_version_num);
  const major = Math.trunc(number / 10_000);
  if (major === instance.expected.major) return;
  const text = `${from.id} runs PostgreSQL ${major}, the programs here are PostgreSQL ${instance.expected.major}.`;
  throw new EngineError('ENGINE_CLONE_FAILED', text, {
    retry: 'unsafe',
    next: 'Use the same major version on every member.',
  });
}

/** Makes our slot on the source anew, so that it keeps from now on what the copy will need when it begins to follow (P14). */
async function reserveLog(session: PgSession, instance: Instance): Promise<void> {
  const name = slotName(memberId(instance.options.member));
  const dropped = await pollUntil(
    async () => {
      try {
        await session.rows(`DROP_REPLICATION_SLOT "${name}"`, timeoutMs);
        return true;
      } catch (error) {
        if (sqlStateOf(error) === '42704') return true;
        // 55006: the stream of our former server has not been noticed to be gone.
        if (sqlStateOf(error) === '55006') return null;
        throw error;
      }
    },
    { everyMs: 250, timeoutMs },
  );
  if (dropped === null) return;
  try {
    await session.rows(`CREATE_REPLICATION_SLOT "${name}" PHYSICAL RESERVE_WAL`, timeoutMs);
  } catch (error) {
    // 42710: the source's agent was quicker; its slot reserves the log too.
    if (sqlStateOf(error) !== '42710') throw error;
  }
}

/** Receives the backup and makes it durable. @returns its manifest */
async function unpackBackup(
  session: PgSession,
  unpacker: Unpacker,
  target: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<Buffer> {
  const content = new BackupContent(unpacker);
  const backup = new BaseBackup(backupSql, {
    message: (message, tablespaces) => {
      if (message.kind === 'archive') {
        refuseTablespaces(tablespaces.filter(({ oid }) => oid !== null).map(({ location }) => location));
        content.beginArchive(tablespaces);
        backup.pause(requireRoom(target, content.totalBytes));
      } else if (message.kind === 'manifest') content.beginManifest();
    },
    content: (bytes) => {
      content.push(bytes);
      progress(content.doneBytes, Math.max(content.totalBytes, content.doneBytes));
      if (unpacker.isFull) backup.pause(unpacker.room());
    },
  });
  const abort = (): void => backup.abort(new Error('it was interrupted'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    await session.submit(backup).done;
    await unpacker.finish();
    return content.manifest();
  } catch (error) {
    backup.abort(error);
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Turns the copy of another member's directory into our own. */
async function adoptCopy(instance: Instance, target: string): Promise<void> {
  const { options, owner, expected } = instance;
  const control = await readControlFile(target);
  await replaceFile(join(target, 'standby.signal'), '', owner);
  const identity = {
    cluster: options.cluster,
    member: options.member,
    systemId: control.systemId,
    major: expected.major,
  };
  await writeIdentity(target, identity, owner);
  await noteCopied(target, options.member, owner);
}
