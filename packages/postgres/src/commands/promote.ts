import { join } from 'node:path';
import { pollUntil } from '@understudy/base';
import type { EngineCommand } from '@understudy/core';
import { type ClusterContext, EngineError } from '@understudy/engine';
import { isThere, removeFile, replaceFile } from '@understudy/engine/host';
import { noteInTime } from '../disk/opened.ts';
import { historyFileName } from '../disk/wal.ts';
import type { Instance } from '../instance.ts';
import { blockingStandbyNames, formatStandbyNames } from '../names.ts';
import { forgetArmed, rememberArmed } from '../observe/armed.ts';
import { checkpointerIsReady, identify, waitsQuery } from '../observe/query.ts';
import type { PgSession } from '../sql/session.ts';
import { install, proveRule } from './ack-rule.ts';
import { reloadOrThrow } from './reload.ts';
import { settleTimeline } from './seal.ts';
import { ensureSlots } from './slots.ts';

type Promote = Extract<EngineCommand, { kind: 'promote' }>;

const queryTimeoutMs = 1000;
const openQueryTimeoutMs = 5000;
/** Opening waits until everything received is replayed; how long that takes depends on the backlog. */
const promotionTimeoutMs = 3600_000;
/** More failed elections than this in a row are a mistake, not a history. */
const skippedTimelinesMax = 10_000;

/**
 * Opens a fenced standby for writes on exactly the timeline `timeline`, with the acknowledgement rule already in force when the
 * first write comes.
 *
 * @returns once the server has been told: what remains is to wait until it is open, which `finish` does, and which takes long
 *   when much received log has yet to be replayed. Null when it is open on that timeline already.
 * @throws EngineError `ENGINE_DECISION_STALE` when `notAfter` passed before the point of no return; `ENGINE_PROMOTE_FAILED`.
 */
export async function promote(
  instance: Instance,
  command: Promote,
  context: ClusterContext,
): Promise<{ readonly finish: () => Promise<void> } | null> {
  const running = instance.postmaster.running;
  if (running === null) throw failed('the server is not running', 'safe');
  const monitor = await instance.sql.monitor(queryTimeoutMs);
  const before = await identify(monitor, queryTimeoutMs);
  const recovery = (await monitor.row('select pg_is_in_recovery() as recovery', queryTimeoutMs)).recovery;
  if (recovery !== 't') {
    requireSameTimeline(before.timeline, command);
    await keepStandbySignal(instance);
    return null;
  }
  await requireFreeTimeline(instance, before.timeline, command.timeline);
  instance.acks.forget();
  // A standby never has an empty list, not even for a moment: that commits wait is armed once, at its start.
  const standbyNames =
    command.rule.required > 0 ? formatStandbyNames(instance.options.cluster, command.rule) : blockingStandbyNames;
  instance.config.learn(context);
  await instance.config.write({ upstream: null, standbyNames });
  const expected = { primary_conninfo: '', synchronous_standby_names: standbyNames };
  await reloadOrThrow(instance, expected, 'ENGINE_PROMOTE_FAILED');
  if ((await settleTimeline(instance)) === 'stopped')
    throw failed('a new timeline was half received; starting anew', 'safe');
  await requireArmed(instance, monitor);
  await ensureSlots(monitor, context, queryTimeoutMs);
  const placeholders = await skipTimelines(instance, before.timeline, command.timeline);
  const { dataDir, member } = instance.options;
  const opened = { member, timeline: command.timeline };
  const isLate = (): boolean => instance.clockMs() > command.notAfter;
  if ((await noteInTime(dataDir, opened, instance.owner, isLate)) === 'late') {
    await Promise.all(placeholders.map((file) => removeFile(file)));
    throw new EngineError('ENGINE_DECISION_STALE', 'The decision to promote is too old; nothing was opened.');
  }
  await monitor.rows('select pg_promote(false)', queryTimeoutMs);
  return {
    finish: async () => {
      await waitUntilOpen(instance, monitor);
      await afterwards(instance, monitor, command);
    },
  };
}

function failed(cause: string, retry: EngineError['retry']): EngineError {
  return new EngineError('ENGINE_PROMOTE_FAILED', `The promotion did not happen: ${cause}.`, { retry });
}

function requireSameTimeline(timeline: number, command: Promote): void {
  if (timeline === command.timeline) return;
  throw failed(`the server is a primary on timeline ${timeline} already, not on ${command.timeline}`, 'unsafe');
}

/**
 * PostgreSQL takes the first number after its own for which it has no history file. It must be the one that the cluster
 * allocated, which no other promotion has (C35).
 */
async function requireFreeTimeline(instance: Instance, present: number, wanted: number): Promise<void> {
  if (wanted <= present || wanted - present > skippedTimelinesMax) {
    throw failed(`timeline ${wanted} was asked for, but the server is on ${present}`, 'unsafe');
  }
  if (await isThere(historyFile(instance, wanted))) {
    throw failed(`timeline ${wanted} exists already; a promotion to it was begun before`, 'unsafe');
  }
}

function historyFile(instance: Instance, timeline: number): string {
  return join(instance.options.dataDir, 'pg_wal', historyFileName(timeline));
}

/**
 * Puts history files without a parent in the place of the numbers to be skipped. They stay: a replica that follows asks its
 * primary for the history of every number between its own and the primary's, and gives up when one is missing.
 */
async function skipTimelines(instance: Instance, present: number, wanted: number): Promise<readonly string[]> {
  const made: string[] = [];
  for (let timeline = present + 1; timeline < wanted; timeline++) {
    const file = historyFile(instance, timeline);
    if (await isThere(file)) continue;
    const text = `# Understudy: number ${timeline} was given to a promotion that is not part of this history\n`;
    await replaceFile(file, text, instance.owner, { durability: timeline === wanted - 1 ? 'synced' : 'cached' });
    made.push(file);
  }
  return made;
}

/** The checkpointer must have switched waiting on before the first commit can come; in a standby it has, since its start. */
async function requireArmed(instance: Instance, monitor: PgSession): Promise<void> {
  const running = instance.postmaster.running;
  if (running === null) throw failed('the server has gone', 'safe');
  const facts = instance.facts.of(running.pid);
  const armed = await pollUntil(
    async () => {
      if (facts.waiting === 'armed') return true;
      if (checkpointerIsReady(await monitor.rows(waitsQuery, queryTimeoutMs))) facts.waiting = 'armed';
      return null;
    },
    { everyMs: 3, timeoutMs: 2000 },
  );
  if (armed === null) throw failed('its checkpointer has not loaded the configuration within 2 s', 'safe');
}

async function waitUntilOpen(instance: Instance, monitor: PgSession): Promise<void> {
  const open = await pollUntil(
    async () => {
      const row = await monitor.row('select pg_is_in_recovery() as recovery', openQueryTimeoutMs);
      return row.recovery === 'f' ? true : null;
    },
    { everyMs: 2, timeoutMs: promotionTimeoutMs },
  );
  if (open === null) throw failed(`it was still replaying its log after ${promotionTimeoutMs / 1000} s`, 'unknown');
  await keepStandbySignal(instance);
}

/**
 * Puts `standby.signal` back, which a promotion removes: with it, any start that is not a promotion stays fenced.
 *
 * @returns whether it was missing.
 */
export async function keepStandbySignal(instance: Instance): Promise<'there' | 'missing'> {
  if (await isThere(instance.paths.standbySignal)) return 'there';
  await replaceFile(instance.paths.standbySignal, '', instance.owner);
  return 'missing';
}

async function afterwards(instance: Instance, monitor: PgSession, command: Promote): Promise<void> {
  const running = instance.postmaster.running;
  const { timeline } = await identify(monitor, queryTimeoutMs);
  if (timeline !== command.timeline) {
    await instance.postmaster.kill();
    throw failed(`the server chose timeline ${timeline} instead of ${command.timeline} and was stopped`, 'unsafe');
  }
  if (running === null) throw failed('the server has gone', 'unknown');
  instance.facts.of(running.pid).role = 'primary';
  if (command.rule.required === 0) {
    await forgetArmed(instance, running);
    await install(instance, command.rule);
  } else {
    await rememberArmed(instance, running);
  }
  await proveRule(instance, command.rule);
}
