import { join } from 'node:path';
import { pollUntil } from '@understudy/base';
import { formatLsn, type Lsn, type Member, type WalPosition } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import {
  copyFile,
  makeFolder,
  markIncomplete,
  namesIn,
  noteKept,
  removeFile,
  replaceFile,
  siblingPath,
  syncFolder,
  unmarkIncomplete,
} from '@understudy/engine/host';
import type { Progress } from '../clone/clone.ts';
import { type Entry, enterMember, memberPosition, openMember } from '../clone/source.ts';
import { formatConninfo } from '../config/conninfo.ts';
import { secureLink } from '../config/secure-link.ts';
import { type ControlFile, readControlFile } from '../disk/control-file.ts';
import { forkPoint } from '../disk/fork.ts';
import { writeIdentity } from '../disk/identity.ts';
import { inspectDisk } from '../disk/inspect.ts';
import { noteCopied } from '../disk/opened.ts';
import { segmentName, wholePositionOf } from '../disk/wal.ts';
import { engineError } from '../errors.ts';
import type { Instance } from '../instance.ts';
import { roles } from '../names.ts';
import { runProgram, tail } from '../process/program.ts';
import { start, startRewound } from './start.ts';
import { stopInOrder, stopReplica } from './stop.ts';

const queryTimeoutMs = 10_000;
const checkpointWaitMs = 120_000;
const rewindTimeoutMs = 6 * 3600 * 1000;

/** Whether a `pg_rewind` of the server's own major version was given. */
export function canRewind(instance: Instance): 'yes' | 'no' {
  return instance.options.binaries.pgRewind === undefined ? 'no' : 'yes';
}

/**
 * Turns a diverged copy back to where its history left that of `from`, and lets it continue there. The log that only this node
 * has is copied aside first. The server may be running as a replica; it is stopped, and in the end it runs as a replica of `from`.
 *
 * @throws EngineError `ENGINE_REWIND_FAILED`; once `pg_rewind` has begun, the data directory counts as incomplete after a
 *   failure and must be copied anew (its documentation: such a directory cannot be recovered).
 */
export async function rewind(instance: Instance, from: Member, progress: Progress, signal: AbortSignal): Promise<void> {
  const program = instance.options.binaries.pgRewind;
  if (program === undefined) throw failure('there is no pg_rewind of this version', 'unsafe');
  try {
    await stopReplica(instance);
    const control = await ensureCleanShutdown(instance, signal);
    const source = await sourcePosition(instance, from);
    const entry = await waitForCheckpoint(instance, from, source.timeline, signal);
    const fork = await keepForkedLog(instance, control, source);
    signal.throwIfAborted();
    await markIncomplete(instance.options.dataDir);
    await runRewind(instance, program, from, entry, progress, signal);
    await reclaimDirectory(instance, control);
    await startRewound(instance, from, signal);
    await unmarkIncomplete(instance.options.dataDir);
    await instance.kept.tidy();
    const fields = { from: from.id, fork: formatLsn(fork.lsn), keptIn: fork.folder };
    instance.log({ level: 'info', message: 'rewound', fields });
  } catch (error) {
    throw engineError('ENGINE_REWIND_FAILED', `Rewinding to the history of ${from.id}`, error, 'unsafe');
  }
}

function failure(cause: string, retry: EngineError['retry']): EngineError {
  return new EngineError('ENGINE_REWIND_FAILED', `The rewind did not happen: ${cause}.`, { retry });
}

/** `pg_rewind` wants a server that was shut down in order; a crashed one recovers as a fenced standby first, which archives nothing (C31). */
async function ensureCleanShutdown(instance: Instance, signal: AbortSignal): Promise<ControlFile> {
  const disk = await inspectDisk(instance.options.dataDir, instance.expected);
  if (disk.kind !== 'usable') throw failure(`the data directory is ${disk.kind}`, 'unsafe');
  if (!isClean(disk.control)) {
    await start(instance, signal);
    await stopInOrder(instance, 'orderly');
  }
  const control = await readControlFile(instance.options.dataDir);
  if (!isClean(control)) throw failure(`the server did not stop in order (${control.state})`, 'safe');
  return control;
}

function isClean(control: ControlFile): boolean {
  return control.state === 'shut down' || control.state === 'shut down in recovery';
}

async function sourcePosition(instance: Instance, from: Member): Promise<WalPosition> {
  const session = await openMember(instance, from, 'replication');
  try {
    return await memberPosition(session);
  } finally {
    await session.close();
  }
}

/**
 * Waits until the source's control file names its timeline: before the checkpoint that follows a promotion, `pg_rewind`
 * believes that both are on the old one and does nothing (C33).
 */
async function waitForCheckpoint(
  instance: Instance,
  from: Member,
  timeline: number,
  signal: AbortSignal,
): Promise<Entry> {
  const entry = await enterMember(instance, from, 'rewind');
  const { session } = entry;
  try {
    const reached = await pollUntil(
      async () => {
        const row = await session.row('select timeline_id from pg_control_checkpoint()', queryTimeoutMs);
        return Number(row.timeline_id) >= timeline ? true : null;
      },
      { everyMs: 100, timeoutMs: checkpointWaitMs, signal },
    );
    if (reached === null) throw failure(`${from.id} made no checkpoint after its promotion`, 'safe');
    return entry;
  } finally {
    await session.close();
  }
}

/** Copies every log file from the fork on: what was written there is in nobody else's history. */
async function keepForkedLog(
  instance: Instance,
  control: ControlFile,
  source: WalPosition,
): Promise<{ readonly lsn: Lsn; readonly folder: string }> {
  const { dataDir } = instance.options;
  const own = await wholePositionOf(dataDir, control.timeline, control.checkpoint);
  if (own === null) throw failure(`the history of timeline ${control.timeline} is missing here`, 'unsafe');
  const fork = forkPoint(own, source);
  if (fork === null) throw failure('the two histories have nothing in common', 'unsafe');
  const folder = siblingPath(dataDir, 'fork');
  await makeFolder(folder, instance.owner);
  const first = segmentName(0, fork, control.walSegmentBytes).slice(8);
  const log = join(dataDir, 'pg_wal');
  for (const name of await namesIn(log)) {
    const wanted = /^[0-9A-F]{24}$/.test(name) ? name.slice(8) >= first : name.endsWith('.history');
    if (wanted)
      await copyFile(join(log, name), join(folder, name), instance.owner, { bytesMax: control.walSegmentBytes });
  }
  const facts = { fork: formatLsn(fork), own: formatLsn(own.lsn), timeline: own.timeline, systemId: control.systemId };
  await replaceFile(join(folder, 'fork.json'), `${JSON.stringify(facts, null, 2)}\n`, instance.owner);
  const why = `the log from ${facts.fork} on, which only this member had when it was rewound`;
  await noteKept(folder, { why, history: 'unproven' });
  await syncFolder(folder);
  return { lsn: fork, folder };
}

async function runRewind(
  instance: Instance,
  program: string,
  from: Member,
  entry: Entry,
  progress: Progress,
  signal: AbortSignal,
) {
  const { options, paths, owner } = instance;
  const passwordFile = join(paths.runDir, 'rewind.pass');
  const password = options.secrets.rewind.replaceAll('\\', '\\\\').replaceAll(':', '\\:');
  await replaceFile(passwordFile, `*:*:*:${roles.rewind}:${password}\n`, owner);
  const tls = options.tls === null ? null : { ...options.tls, ...paths.tls };
  const conninfo = formatConninfo({
    host: from.host,
    port: String(from.port),
    user: roles.rewind,
    dbname: entry.database,
    options: entry.options,
    passfile: passwordFile,
    connect_timeout: '10',
    ...secureLink(tls, instance.expected.major),
  });
  const args = ['--target-pgdata', options.dataDir, '--source-server', conninfo, '--no-ensure-shutdown', '--progress'];
  try {
    const { code, output } = await runProgram(program, args, {
      home: options.dataDir,
      libraryPath: options.binaries.libraryPath,
      owner,
      timeoutMs: rewindTimeoutMs,
      signal,
      failure: 'ENGINE_REWIND_FAILED',
      onLine: (line) => reportProgress(line, progress),
    });
    if (code !== 0) throw failure(`pg_rewind ended with ${code}: ${tail(output)}`, 'unsafe');
    if (/no rewind required/.test(output)) throw failure('pg_rewind saw no divergence where there is one', 'unsafe');
  } finally {
    await removeFile(passwordFile);
  }
}

/** Lines like ` 61450/123456 kB (49%) copied`. */
function reportProgress(line: string, progress: Progress): void {
  const [, done, total] = /(\d+)\/(\d+) kB \(\d+%\) copied/.exec(line) ?? [];
  if (done !== undefined && total !== undefined) progress(Number(done) * 1024, Number(total) * 1024);
}

/** `pg_rewind` copies the source's configuration and identity over ours; the rest is written anew at every start. */
async function reclaimDirectory(instance: Instance, control: ControlFile): Promise<void> {
  const { options, owner, expected, paths } = instance;
  await replaceFile(paths.standbySignal, '', owner);
  const identity = {
    cluster: options.cluster,
    member: options.member,
    systemId: control.systemId,
    major: expected.major,
  };
  await writeIdentity(options.dataDir, identity, owner);
  await noteCopied(options.dataDir, options.member, owner);
}
