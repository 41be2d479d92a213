import { rename, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Member, memberId } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import {
  makeFolder,
  moveAside,
  pollUntil,
  replaceFile,
  siblingPath,
  siblings,
  unmarkIncomplete,
} from '@understudy/engine/host';
import { stopReplica } from '../commands/stop.ts';
import { readControlFile } from '../disk/control-file.ts';
import { inspectDisk, writeIdentity } from '../disk/inspect.ts';
import { engineError } from '../errors.ts';
import type { Instance } from '../instance.ts';
import { slotName } from '../names.ts';
import { identify } from '../observe/query.ts';
import { type PgSession, sqlStateOf } from '../sql/session.ts';
import { BaseBackup } from './base-backup.ts';
import { verifyManifest } from './manifest.ts';
import { openMember } from './source.ts';
import { TarReader } from './tar.ts';
import { Unpacker } from './unpack.ts';

export type Progress = (doneBytes: number, totalBytes: number | null) => void;

const timeoutMs = 10_000;
const backupSql = `BASE_BACKUP (LABEL 'understudy clone', PROGRESS, CHECKPOINT 'fast', WAL, WAIT false, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C')`;

/**
 * Copies the whole database from another member, over the replication protocol, into a folder beside the data directory; when
 * every file is there with the checksum that the source names, and on disk, the present directory is moved aside and the copy
 * takes its place. A crash before that leaves the present directory as it was.
 *
 * @throws EngineError `ENGINE_CLONE_FAILED`, `ENGINE_DISK_FULL`, `ENGINE_UNREACHABLE`, `ENGINE_LOGIN_FAILED`; the unfinished copy is removed.
 */
export async function clone(instance: Instance, from: Member, progress: Progress, signal: AbortSignal): Promise<void> {
  const { options, owner } = instance;
  await requireReplaceable(instance);
  for (const leftover of await siblings(options.dataDir, 'clone')) await rm(leftover, { recursive: true, force: true });
  const target = siblingPath(options.dataDir, 'clone');
  try {
    await makeFolder(target, owner);
    await receive(instance, from, target, progress, signal);
    await adoptCopy(instance, target);
    await moveAside(options.dataDir, options.aside);
    await rename(target, options.dataDir);
    await unmarkIncomplete(options.dataDir);
  } catch (error) {
    await rm(target, { recursive: true, force: true });
    throw engineError('ENGINE_CLONE_FAILED', `Copying the database from ${from.id}`, error, 'safe');
  }
}

/** Stops a running replica, and makes sure that what will be replaced is ours. */
async function requireReplaceable(instance: Instance): Promise<void> {
  await stopReplica(instance);
  const disk = await inspectDisk(instance.options.dataDir, instance.expected);
  if (disk.kind === 'refused') throw new EngineError('ENGINE_DATA_REFUSED', disk.problem, 'unsafe');
}

async function receive(instance: Instance, from: Member, target: string, progress: Progress, signal: AbortSignal) {
  const session = await openMember(instance, from, 'replication');
  const unpacker = new Unpacker(target, instance.owner);
  const backup = new BaseBackup(backupSql);
  const abort = (): void => backup.abort(new Error('it was interrupted'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    const source = await identify(session, timeoutMs);
    await requireSameMajor(instance, session, from);
    await reserveLog(session, instance);
    const manifest = await unpackBackup(session.submit(backup), unpacker, target, progress);
    const problem = verifyManifest(manifest, unpacker.files);
    if (problem !== null) throw new Error(`the copy is not identical to the source: ${problem}`);
    const control = await readControlFile(target);
    if (control.systemId !== source.systemId) throw new Error('the source changed while it was copied');
    signal.throwIfAborted();
    await unpacker.sync(signal);
  } catch (error) {
    backup.abort(new Error('given up'));
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    await unpacker.abandon();
    await session.close();
  }
}

async function requireSameMajor(instance: Instance, session: PgSession, from: Member): Promise<void> {
  const number = Number((await session.row('SHOW server_version_num', timeoutMs)).server_version_num);
  const major = Math.trunc(number / 10_000);
  if (major === instance.expected.major) return;
  const text = `${from.id} runs PostgreSQL ${major}, the programs here are PostgreSQL ${instance.expected.major}.`;
  throw new EngineError('ENGINE_CLONE_FAILED', `${text} Use the same major version on every member.`, 'unsafe');
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

async function unpackBackup(
  backup: BaseBackup,
  unpacker: Unpacker,
  target: string,
  progress: Progress,
): Promise<Buffer> {
  const manifest: Buffer[] = [];
  let sink: 'none' | 'manifest' | TarReader = 'none';
  let doneBytes = 0;
  let totalBytes: number | null = null;
  for await (const event of backup) {
    if (event.kind === 'archive') {
      refuseTablespaces(backup);
      totalBytes = backup.tablespaces().reduce((sum, space) => sum + (space.sizeKb ?? 0) * 1024, 0);
      await requireRoom(target, totalBytes);
      sink = new TarReader(unpacker);
    } else if (event.kind === 'manifest') {
      if (sink instanceof TarReader) sink.finish();
      sink = 'manifest';
    } else if (event.kind === 'data') {
      if (sink === 'manifest') manifest.push(event.bytes);
      else if (sink !== 'none') await sink.push(event.bytes);
      doneBytes += event.bytes.length;
      progress(doneBytes, totalBytes === null ? null : Math.max(totalBytes, doneBytes));
    }
  }
  if (manifest.length === 0) throw new Error('the source sent no manifest');
  return Buffer.concat(manifest);
}

function refuseTablespaces(backup: BaseBackup): void {
  const outside = backup.tablespaces().filter((space) => space.oid !== null);
  if (outside.length === 0) return;
  const where = outside.map((space) => space.location).join(', ');
  const text = `The database has tablespaces outside of its data directory (${where}), which cannot be copied yet.`;
  throw new EngineError(
    'ENGINE_CLONE_FAILED',
    `${text} Move their tables into the default tablespace and drop them.`,
    'unsafe',
  );
}

async function requireRoom(target: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(target);
  if (bavail * bsize > neededBytes) return;
  const text = `The copy needs ${neededBytes} bytes, and the disk of ${dirname(target)} has ${bavail * bsize} left.`;
  throw new EngineError('ENGINE_DISK_FULL', `${text} Make room there (older copies are named *.aside-*).`, 'safe');
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
}
