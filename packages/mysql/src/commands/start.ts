import { pollUntil } from '@understudy/base';
import { KEEP_END, type LogEnd } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import { notStartable, removeFile, requireFreePort } from '@understudy/engine/host';
import { changeIdentity } from '../disk/identity.ts';
import { inspectDisk } from '../disk/inspect.ts';
import { serverIdOf } from '../disk/writer.ts';
import { engineError, isDiskFull, isReadOnlyDisk } from '../errors.ts';
import type { Instance } from '../instance.ts';
import { logTail } from '../process/server-process.ts';
import { endOfCut, forgetCopy, planStart, type StartPlan, tellCut } from '../tail/cut.ts';
import { settleReceived } from './settle.ts';
import { causeOf, saying } from './start-words.ts';

/** Recovery after a crash may take long, and its progress is not visible. */
const startTimeoutMs = 24 * 3600 * 1000;
const answerTimeoutMs = 2000;

/**
 * Starts the server fenced: read-only, replicating from nobody. Resolves when it answers.
 *
 * @param end what its recovery may drop of its log; without effect on a server that runs already.
 *
 * @throws EngineError `ENGINE_DATA_REFUSED`, `ENGINE_PORT_IN_USE`, `ENGINE_BINARY_MISSING`, `ENGINE_DISK_FULL`, `ENGINE_START_FAILED`.
 */
export async function start(instance: Instance, end: LogEnd, signal: AbortSignal): Promise<void> {
  try {
    await startProven(instance, end, signal);
    instance.starts.succeeded();
  } catch (error) {
    if (!signal.aborted && error instanceof EngineError && error.code === 'ENGINE_START_FAILED') {
      const words = await instance.process.firstWords().catch(() => error.message);
      instance.starts.failed(causeOf(words), saying(words) ?? error.message);
    }
    throw error;
  }
}

/** With parameters that it last ran with, when it does not start with those that are wanted now: no value takes a member away for good. */
async function startProven(instance: Instance, end: LogEnd, signal: AbortSignal): Promise<void> {
  try {
    await startServer(instance, end, signal);
  } catch (error) {
    if (signal.aborted || !(error instanceof EngineError) || error.code !== 'ENGINE_START_FAILED') throw error;
    const words = await instance.process.firstWords().catch(() => '');
    if (causeOf(words) === 'data' || instance.config.blame(saying(words) ?? error.message) === 'same') throw error;
    instance.log({
      level: 'warn',
      message: `${error.message} It is started with the parameters that it last ran with.`,
    });
    await startServer(instance, end, signal);
  }
  await instance.config.proven();
}

async function startServer(instance: Instance, end: LogEnd, signal: AbortSignal): Promise<void> {
  if (instance.process.running !== null) return awaitAnswer(instance, signal);
  const plan = await launch(instance, end, signal);
  try {
    await awaitAnswer(instance, signal, plan);
  } catch (error) {
    if (plan === null || (await endOfCut(instance, plan)) !== 'refused') throw error;
    // With its whole log the server starts, and shows that it has diverged: then it is copied anew, and its old data is kept.
    await launch(instance, KEEP_END, signal);
    await awaitAnswer(instance, signal);
  }
}

async function awaitAnswer(instance: Instance, signal: AbortSignal, plan: StartPlan | null = null): Promise<void> {
  const answered = await pollUntil(
    async () => {
      if (instance.process.running === null) throw await startFailure(instance);
      return (await answers(instance)) ? true : null;
    },
    { everyMs: 10, timeoutMs: startTimeoutMs, signal },
  );
  if (answered === null) {
    throw new EngineError('ENGINE_START_FAILED', 'The server was still recovering after a day.', {
      next: 'Look at its log.',
    });
  }
  // It has read them: the password is on the disk no longer than needed.
  await removeFile(instance.paths.initFile);
  await noteVersion(instance);
  if (plan !== null) await tellCut(instance, plan, signal);
  await settleReceived(instance, signal);
}

/** From the first answer of a newer version on, an older one may not come after it. */
async function noteVersion({ options, programs, owner }: Instance): Promise<void> {
  const { version } = programs;
  await changeIdentity(options.dataDir, owner, (identity) =>
    identity.version === version ? null : { ...identity, version },
  );
}

async function answers(instance: Instance): Promise<boolean> {
  try {
    await instance.sql.monitor(answerTimeoutMs);
    return true;
  } catch (error) {
    if (error instanceof EngineError && ['ENGINE_UNREACHABLE', 'ENGINE_TIMEOUT'].includes(error.code)) return false;
    throw error;
  }
}

async function launch(instance: Instance, end: LogEnd, signal: AbortSignal): Promise<StartPlan | null> {
  const { options, process: server, paths, owner, config } = instance;
  if ((await server.adopt()) !== null) return null;
  const disk = await inspectDisk(options.dataDir, instance.expected);
  if (disk.kind !== 'usable') throw notStartable(options.dataDir, disk);
  await server.killLeftovers();
  await requireFreePort(options.listen.host, options.listen.port);
  const plan = await planStart(instance, disk.identity, end);
  try {
    // The server would believe the lock of a killed one for as long as its process id exists.
    for (const name of [paths.socket, `${paths.socket}.lock`, paths.pidFile]) await removeFile(name);
    await config.prepareStart(serverIdOf(options.serverId, plan.writer) ?? options.serverId);
    // From here on the end of the last run says nothing.
    await changeIdentity(options.dataDir, owner, (identity) => {
      const received = identity.end === null ? 'unknown' : identity.received;
      return { ...identity, received, end: null, writer: plan.writer };
    });
  } catch (error) {
    await forgetCopy(plan);
    throw engineError('ENGINE_START_FAILED', 'Preparing the start', error, 'safe');
  }
  const running = await begin(instance, plan, signal).catch(async (error: unknown) => {
    await forgetCopy(plan);
    throw error;
  });
  instance.facts.of(running.pid);
  await instance.opened.set(running, 'fenced');
  instance.lines.forget();
  return plan;
}

async function begin({ process: server, config }: Instance, plan: StartPlan, signal: AbortSignal) {
  // A fence that came meanwhile must not be followed by a start.
  signal.throwIfAborted();
  return server.start(config.startArguments(plan.kind));
}

async function startFailure(instance: Instance): Promise<EngineError> {
  const log = await logTail(instance.process, 4);
  const how = instance.process.lastExit ?? 'unknown exit';
  if (isReadOnlyDisk(new Error(log))) return engineError('ENGINE_START_FAILED', 'The start', new Error(log), 'safe');
  const code = isDiskFull(new Error(log)) ? 'ENGINE_DISK_FULL' : 'ENGINE_START_FAILED';
  const text = `The server ended while starting (${how}). Its log (${instance.paths.log}) ends: ${log}`;
  return new EngineError(code, text, { retry: 'safe' });
}
