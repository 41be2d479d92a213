import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pollUntil, reasonOf } from '@understudy/base';
import { EngineError } from '@understudy/engine';
import { listFolder, makeFolder, namesIn, readBytes, removeFile, syncTree } from '@understudy/engine/host';
import type { Settings } from '../config/settings.ts';
import { writeBinlogState } from '../disk/binlog-files.ts';
import { isDiskFull } from '../errors.ts';
import { parseMariadbGtids } from '../gtid/mariadb.ts';
import { feedProgram } from '../process/pipe.ts';
import { runProgram, tail } from '../process/program.ts';
import type { CopyHost, CopyJob } from './copy-job.ts';
import { unavailable } from './copyable.ts';
import { withTemporaryServer } from './temporary-server.ts';

const longestMs = 7 * 24 * 3600 * 1000;
const busyEveryMs = 500;
/** The source looks for its own reasons to give up after a minute, and can name them. */
const stalledAfterMs = 90_000;

/** Opens the stream of the source's files, see `OpenCopy`. */
export type OpenStream = (signal: AbortSignal) => Promise<Readable>;

/** What the program leaves for its user, and no server needs. */
const notes = /^(backup-my\.cnf|(xtrabackup|mariadb_backup)_.*)$/;

/**
 * Copies a whole database as the files that `mariadb-backup` reads on the source's host, into `target`. The copy knows at which GTID it was made.
 *
 * @throws EngineError `ENGINE_COPY_UNAVAILABLE` when it has to be made in another way; `ENGINE_CLONE_FAILED`, `ENGINE_DISK_FULL`.
 */
export async function copyByBackup(instance: CopyHost, job: CopyJob, open: OpenStream): Promise<void> {
  const { from, target, totalBytes, progress, signal } = job;
  const { backup, unpack } = instance.programs;
  if (backup === null || unpack === null) throw unavailable('mariadb-backup or mbstream is not installed here.');
  await makeFolder(target, instance.owner);
  const stream = await openWhenFree(job, open);
  // Its failure is asked for when it is read.
  stream.on('error', () => undefined);
  try {
    const count = (bytes: number): void => progress(bytes, totalBytes === null ? null : Math.max(totalBytes, bytes));
    const { libraryPath } = instance.programs;
    const part = { program: unpack, args: ['-x', '-C', target] };
    const timing = {
      timeoutMs: longestMs,
      stalledAfterMs,
      signal,
      failure: 'ENGINE_CLONE_FAILED',
      onBytes: count,
    } as const;
    await feedProgram(stream, from.id, part, { home: target, libraryPath, owner: instance.owner, ...timing });
  } finally {
    stream.destroy();
  }
  const position = await makeUsable(instance, target, backup, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    if (isDiskFull(error)) throw error;
    throw unavailable(`The files that came from ${from.id} are of no use here: ${reasonOf(error)}`, error);
  });
  progress(totalBytes ?? 0, totalBytes);
  await placeAt(instance, job, position);
  await writeBinlogState(target, position, instance.owner);
  await syncTree(target);
}

/** A source sends one copy at a time. */
async function openWhenFree({ from, signal }: CopyJob, open: OpenStream): Promise<Readable> {
  const stream = await pollUntil(
    () =>
      open(signal).catch((error: unknown) => {
        if (error instanceof EngineError && error.code === 'ENGINE_BUSY') return null;
        throw error;
      }),
    { everyMs: busyEveryMs, timeoutMs: longestMs, signal },
  );
  if (stream !== null) return stream;
  const text = `${from.id} was busy with other copies for days.`;
  throw new EngineError('ENGINE_CLONE_FAILED', text, { next: 'Look at its log.' });
}

/** @returns the GTID at which the files stand. */
async function makeUsable(instance: CopyHost, target: string, program: string, signal: AbortSignal): Promise<string> {
  const position = await positionOf(target);
  await refuseLinks(target);
  const { libraryPath } = instance.programs;
  const args = ['--no-defaults', '--prepare', `--target-dir=${target}`, '--use-memory=128M'];
  const { code, output } = await runProgram(program, args, {
    home: target,
    libraryPath,
    owner: instance.owner,
    timeoutMs: longestMs,
    signal,
    failure: 'ENGINE_CLONE_FAILED',
  });
  if (code !== 0) throw new Error(`mariadb-backup --prepare failed: ${tail(output)}`);
  for (const name of await namesIn(target)) if (notes.test(name)) await removeFile(join(target, name));
  return position;
}

async function positionOf(target: string): Promise<string> {
  const name = (await namesIn(target)).find((one) => /^(xtrabackup|mariadb_backup)_binlog_info$/.test(one));
  const text = name === undefined ? '' : String(await readBytes(join(target, name)));
  // File, offset, GTIDs; those of several domains may be on lines of their own.
  const gtids = text.trim().split('\t').slice(2).join('').replaceAll(/\s/g, '');
  if ((parseMariadbGtids(gtids)?.length ?? 0) > 0) return gtids;
  throw new Error('they do not say at which GTID they stand');
}

/** A table elsewhere (`DATA DIRECTORY`) is a link with the path of the source's host: a server here would open what is there. */
async function refuseLinks(target: string): Promise<void> {
  for (const { name, kind } of await listFolder(target)) {
    const inside = kind === 'folder' ? await namesIn(join(target, name)) : [];
    const link = [name, ...inside.map((each) => join(name, each))].find((each) => each.endsWith('.isl'));
    if (link !== undefined) throw new Error(`${link.slice(0, -4)} lies outside of the data directory`);
  }
}

/** Tells the copy where in the history it is; only a server can write that down. */
async function placeAt(instance: CopyHost, { target, signal, made = {} }: CopyJob, position: string): Promise<void> {
  const settings: Settings = [
    ['server_id', String(instance.options.serverId)],
    ['innodb_buffer_pool_size', '32M'],
    // The whole copy is made durable afterwards.
    ['innodb_flush_log_at_trx_commit', '0'],
    ['innodb_doublewrite', 'OFF'],
    // As large as the server will want it: it would be written anew.
    ...instance.config.settings().filter(([name]) => name === 'innodb_log_file_size'),
    ['performance_schema', 'OFF'],
    ...Object.entries(made),
    ...instance.config.helperSettings(),
  ];
  await withTemporaryServer(instance, target, settings, signal, 'shut-down', async ({ session }) => {
    await session.query('set global gtid_slave_pos = ?', [position]);
  });
}
