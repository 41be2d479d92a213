import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs, pollUntil } from '@understudy/base';
import { type Member, memberId } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import { makeFolder, notStartable, removeFile, requireFreePort, setFolderMode } from '@understudy/engine/host';
import { sentenceOf } from '../config/dry-start.ts';
import { fenced } from '../config/managed.ts';
import type { ReplicationSettings } from '../config/settings.ts';
import { type ControlFile, readControlFile } from '../disk/control-file.ts';
import { inspectDisk } from '../disk/inspect.ts';
import { markSpoiled, openedByHand } from '../disk/opened.ts';
import { dropUnfinishedTimelines } from '../disk/unfinished-timeline.ts';
import { isLogUnmounted, missingLog } from '../disk/wal.ts';
import { engineError, isDiskFull } from '../errors.ts';
import type { Instance } from '../instance.ts';
import { slotName } from '../names.ts';
import { startOn } from '../process/server-process.ts';
import { sqlStateOf } from '../sql/session.ts';
import { blameSettings } from './dry-check.ts';
import { conninfoOf } from './follow.ts';
import { causeOf } from './start-words.ts';

/** Recovery after a crash replays everything since the last checkpoint: it may take long, and progress is not visible. */
const startTimeoutMs = 24 * 3600 * 1000;
const lastWordsBytes = 4000;

/**
 * Starts the server fenced: a standby that follows nobody. Resolves when it answers.
 *
 * @throws EngineError `ENGINE_DATA_REFUSED`, `ENGINE_PORT_IN_USE`, `ENGINE_BINARY_MISSING`, `ENGINE_DISK_FULL`, `ENGINE_START_FAILED`.
 */
export async function start(instance: Instance, signal: AbortSignal): Promise<void> {
  try {
    await startServer(instance, signal);
    instance.starts.succeeded();
  } catch (error) {
    if (!signal.aborted && error instanceof EngineError && error.code === 'ENGINE_START_FAILED') {
      instance.starts.failed(causeOf(error.message), error.message.split(logAt)[0] ?? '');
    }
    throw error;
  }
}

async function startServer(instance: Instance, signal: AbortSignal): Promise<void> {
  if (instance.postmaster.running === null) await launch(instance, signal);
  const running = instance.postmaster.running;
  if (running === null) throw await startFailure(instance);
  if ((await untilItAnswers(instance, startTimeoutMs, signal)) !== null) return;
  throw new EngineError('ENGINE_START_FAILED', 'The server was still recovering after a day.', {
    next: 'Look at its log.',
  });
}

/** A server that is quick is asked again at once; one that takes long writes a line into its log for each question. */
const askEveryMs = 10;
const askSlowlyAfterMs = 5000;
const askSlowlyEveryMs = 250;
/** Who is refused by a server that is up for this long will be refused later too: that is for people to see, not to wait for. */
const refusedForMs = 3000;

async function untilItAnswers(instance: Instance, timeoutMs: number, signal: AbortSignal): Promise<true | null> {
  const beginMs = monotonicMs();
  let refusedSinceMs: number | null = null;
  const ask = async (): Promise<true | null> => {
    if (instance.postmaster.running === null) throw await startFailure(instance);
    const answer = await firstAnswer(instance);
    refusedSinceMs = answer.kind === 'refused' ? (refusedSinceMs ?? monotonicMs()) : null;
    if (answer.kind === 'refused' && monotonicMs() - (refusedSinceMs ?? 0) >= refusedForMs) throw answer.error;
    return answer.kind === 'open' ? true : null;
  };
  const quick = { everyMs: askEveryMs, timeoutMs: Math.min(timeoutMs, askSlowlyAfterMs), signal };
  const soon = await pollUntil(async () => {
    const answer = await ask();
    // A refusal may pass in a moment; twenty a second would fill the log.
    if (answer === null && refusedSinceMs !== null) await delay(askSlowlyEveryMs);
    return answer;
  }, quick);
  if (soon !== null) return soon;
  const leftMs = timeoutMs - (monotonicMs() - beginMs);
  return leftMs <= 0 ? null : pollUntil(ask, { everyMs: askSlowlyEveryMs, timeoutMs: leftMs, signal });
}

type FirstAnswer = { readonly kind: 'open' | 'not-yet' } | { readonly kind: 'refused'; readonly error: unknown };

async function firstAnswer(instance: Instance): Promise<FirstAnswer> {
  try {
    await instance.sql.monitor(2000);
    return { kind: 'open' };
  } catch (error) {
    const state = sqlStateOf(error);
    if (state !== undefined && !state.startsWith('57P')) return { kind: 'refused', error };
    if (error instanceof EngineError && ['ENGINE_UNREACHABLE', 'ENGINE_TIMEOUT'].includes(error.code))
      return { kind: 'not-yet' };
    throw error;
  }
}

async function launch(instance: Instance, signal: AbortSignal): Promise<void> {
  const { options, postmaster } = instance;
  if ((await postmaster.adopt()) !== null) return;
  const disk = await inspectDisk(options.dataDir, instance.expected);
  if (disk.kind !== 'usable') throw notStartable(options.dataDir, disk);
  await requireLog(instance, disk.control);
  await begin(instance, disk.control, fenced, signal);
}

/** Without it the server would wait for what nobody brings, for ever and without a word: it starts without an upstream. */
async function requireLog({ options, config }: Instance, control: ControlFile): Promise<void> {
  if (await isLogUnmounted(options.dataDir)) {
    const text = `${join(options.dataDir, 'pg_wal')} has nothing of a server in it: its disk is probably not mounted.`;
    throw new EngineError('ENGINE_START_FAILED', text, { next: 'Mount it; the start is tried again.' });
  }
  if (config.restores === 'yes') return;
  const missing = await missingLog(options.dataDir, control);
  if (missing.length === 0) return;
  const names =
    missing.length > 3 ? `${missing.slice(0, 3).join(', ')} and ${missing.length - 3} more` : missing.join(', ');
  const text = `pg_wal lacks the log file ${names}, which the server needs to be consistent.`;
  throw new EngineError('ENGINE_START_FAILED', text);
}

/** Writes the configuration and starts the process. */
async function begin(
  instance: Instance,
  control: ControlFile,
  replication: ReplicationSettings,
  signal: AbortSignal,
): Promise<void> {
  const { options, config, postmaster, owner, paths } = instance;
  // What a killed server has left running may still write, also into the log that is looked at below.
  await postmaster.killLeftovers();
  await requireFreePort(options.listen.host, options.listen.port);
  try {
    // A killed server's id exists until its parent has taken note; the lock on the socket would be believed as long.
    await removeFile(join(paths.runDir, `.s.PGSQL.${options.listen.port}.lock`));
    await makeFolder(paths.runDir, owner);
    // The server refuses a directory that others may read.
    await setFolderMode(options.dataDir, 0o700);
    const spoiled = await openedByHand(options.dataDir, options.member, control);
    if (spoiled !== null) await markSpoiled(options.dataDir, spoiled, owner);
    await dropUnfinished(instance, control);
    await config.prepareStart(control);
    if (replication.upstream !== null) await config.write(replication);
  } catch (error) {
    throw engineError('ENGINE_START_FAILED', 'Preparing the start', error, 'safe');
  }
  instance.acks.forget();
  // A fence that came meanwhile must not be followed by a start.
  signal.throwIfAborted();
  const running = await startOn(postmaster, options.dataDir, config.startArguments());
  instance.facts.of(running.pid);
}

async function dropUnfinished({ options, log }: Instance, control: ControlFile): Promise<void> {
  const dropped = await dropUnfinishedTimelines(options.dataDir, control.walSegmentBytes);
  if (dropped.length === 0) return;
  const message = `Removed log of timeline ${dropped.join(', ')} that had not been received to where that timeline begins.`;
  log({ level: 'warn', message });
}

/** How long a rewound copy may take to receive what it lacks before it is given up for a new copy. */
const consistencyTimeoutMs = 120_000;

/**
 * Starts a copy that was just rewound, following `from` at once: it is consistent only at the position that `from` had reached when
 * the rewind ended, and under load a part of that log is still only there. Fenced, it would wait for it for ever. Resolves when it answers.
 *
 * @throws EngineError `ENGINE_START_FAILED` when it does not become consistent; the server is stopped then.
 */
export async function startRewound(instance: Instance, from: Member, signal: AbortSignal): Promise<void> {
  const { options, postmaster } = instance;
  const upstream = { member: from.id, conninfo: conninfoOf(instance, from), slot: slotName(memberId(options.member)) };
  await begin(instance, await readControlFile(options.dataDir), { ...fenced, upstream }, signal);
  try {
    if ((await untilItAnswers(instance, consistencyTimeoutMs, signal)) !== null) return;
  } catch (error) {
    await postmaster.kill();
    throw error;
  }
  await postmaster.kill();
  const text = `The rewound server did not receive from ${from.id} what it needs to be consistent within ${consistencyTimeoutMs / 1000} s.`;
  throw new EngineError('ENGINE_START_FAILED', `${text} It is copied anew.`);
}

async function startFailure(instance: Instance): Promise<EngineError> {
  const { postmaster, paths } = instance;
  const log = await postmaster.lastWords(lastWordsBytes);
  const how = postmaster.lastExit ?? 'unknown exit';
  const code = isDiskFull(new Error(log)) ? 'ENGINE_DISK_FULL' : 'ENGINE_START_FAILED';
  const blame = code === 'ENGINE_DISK_FULL' ? null : await blameSettings(instance).catch(() => null);
  const said = `The server ended while starting (${how}): ${sentenceOf(log)}`;
  const end = log.trim().split('\n').slice(-12).join(' / ');
  return new EngineError(code, `${blame ?? said}${logAt}${paths.log}) ends: ${end}`, { retry: 'safe' });
}

/** Between what is to be told of a failed start and what it is told by. */
const logAt = ' Its log (';
