import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { monotonicMs, reasonOf } from '@understudy/base';
import { EngineError } from '@understudy/engine';
import { endOf, makeFolder, removeTree, replaceFile } from '@understudy/engine/host';
import { renderClientConfig } from '../config/file.ts';
import { accounts } from '../names.ts';
import { Counter } from '../process/pipe.ts';
import { spawnProgram, tail } from '../process/program.ts';
import { programOf } from '../programs.ts';
import type { BackupStages } from './backup-stages.ts';
import { unavailable } from './copyable.ts';
import type { SendingHost } from './sending-host.ts';

const longestMs = 7 * 24 * 3600 * 1000;
const watchEveryMs = 50;
/** Nothing moved for so long: whoever should read has gone without a word, or the disk has. */
const stalledAfterMs = 60_000;
const wordsKept = 16_384;

export interface BackupJob {
  /** Where the program's login is written; of this copy alone. */
  readonly config: string;
  /** For messages. */
  readonly to: string;
  readonly output: Writable;
  readonly signal: AbortSignal;
  readonly stages: BackupStages;
  /** Why a backup that keeps commits waiting has to end at once, as the end of a sentence; null when it need not. */
  readonly mayBlock: () => string | null;
}

/**
 * Runs `mariadb-backup` on this member's own server, and passes on what it writes. It is killed when `signal` fires, when the reader goes
 * away, when nothing moves any more, and when it keeps the server waiting for longer than it may.
 *
 * @throws EngineError `ENGINE_COPY_UNAVAILABLE` when the server would have had to wait, or without the program; `ENGINE_CLONE_FAILED`.
 */
export async function runBackup(host: SendingHost, job: BackupJob): Promise<void> {
  const temporary = join(host.paths.runDir, 'copy.tmp');
  try {
    await passOn(await begin(host, job, temporary), job);
  } finally {
    // A program that was killed may still be on its way out.
    await removeTree(temporary);
  }
}

/** Hands on what the program writes, until it has ended. */
async function passOn(child: ChildProcess, job: BackupJob): Promise<void> {
  const { output, signal, stages } = job;
  let words = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    const text = chunk.toString('utf8');
    words = (words + text).slice(-wordsKept);
    stages.read(text, monotonicMs());
  });
  // A program that failed or was killed leaves behind what a slow reader has not taken: that is not waited for.
  const given = new AbortController();
  const ended = endOf(child, 'mariadb-backup', { timeoutMs: longestMs, signal });
  // Awaited below.
  ended.catch(() => undefined);
  child.once('exit', (code) => {
    if (code !== 0) given.abort();
  });
  const watch = watchOver(job, () => {
    child.kill('SIGKILL');
    given.abort();
  });
  try {
    if (child.stdout === null) throw new EngineError('ENGINE_INTERNAL', 'A program has no pipe.', { retry: 'unknown' });
    const broken = await pipeline(child.stdout, new Counter(watch.moved), output, {
      end: false,
      signal: AbortSignal.any([signal, given.signal]),
    }).then(
      () => null,
      (error: unknown) => error,
    );
    if (broken !== null) child.kill('SIGKILL');
    const end = await ended;
    signal.throwIfAborted();
    if (watch.problem() !== null) throw watch.problem();
    if (broken !== null) throw failed(`what it wrote could not be passed on to ${job.to} (${reasonOf(broken)})`);
    // The program's last word: what it wrote before is no copy without it.
    if (end.kind === 'ended' && end.code === 0 && /completed OK!\s*$/.test(words)) return;
    throw failed(tail(words) || 'it said nothing');
  } catch (error) {
    if (signal.aborted && signal.reason instanceof EngineError) throw signal.reason;
    throw error;
  } finally {
    watch.stop();
    child.kill('SIGKILL');
  }
}

const failed = (why: string): EngineError => new EngineError('ENGINE_CLONE_FAILED', `mariadb-backup failed: ${why}.`);

async function begin(host: SendingHost, { config }: BackupJob, temporary: string): Promise<ChildProcess> {
  const { options, paths, owner, programs } = host;
  if (programs.backup === null) throw unavailable(`There is no program mariadb-backup on ${options.member}.`);
  const program = programOf(programs.backup, 'mariadb-backup');
  const login = { socket: paths.socket, user: accounts.admin, password: options.secrets.admin };
  await replaceFile(config, renderClientConfig(login, null, 'mariadb-backup'), owner, { durability: 'cached' });
  await removeTree(temporary);
  await makeFolder(temporary, owner);
  const args = [
    `--defaults-file=${config}`,
    '--backup',
    '--stream=mbstream',
    `--datadir=${options.dataDir}`,
    `--target-dir=${temporary}`,
    `--tmpdir=${temporary}`,
    // Commits wait while it reads the end of the log: by default it looks for more of it once a second.
    '--log-copy-interval=20',
  ];
  return spawnProgram(program, args, {
    home: paths.runDir,
    libraryPath: programs.libraryPath,
    owner,
    timeoutMs: longestMs,
  });
}

interface Watch {
  /** To be told of every byte that passes. */
  readonly moved: () => void;
  readonly problem: () => EngineError | null;
  readonly stop: () => void;
}

function watchOver({ stages, mayBlock, to, output }: BackupJob, giveUp: () => void): Watch {
  let movedMs = monotonicMs();
  let problem: EngineError | null = null;
  const look = (): void => {
    const nowMs = monotonicMs();
    const [late, blocked] = [stages.overdue(nowMs), mayBlock()];
    if (late !== null) problem ??= unavailable(`mariadb-backup was ended: ${late}.`);
    // Next time there may be nothing in its way.
    else if (blocked !== null) problem ??= failed(`it was ended, as ${blocked}`);
    else if (nowMs - movedMs >= stalledAfterMs) {
      const whom = output.writableNeedDrain ? `${to} took nothing` : 'it wrote nothing';
      problem ??= failed(`${whom} for ${stalledAfterMs / 1000} s`);
    }
    if (problem !== null) giveUp();
  };
  const timer = setInterval(look, watchEveryMs);
  return {
    moved: () => {
      movedMs = monotonicMs();
    },
    problem: () => problem,
    stop: () => clearInterval(timer),
  };
}
