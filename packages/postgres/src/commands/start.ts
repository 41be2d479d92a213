import { chmod } from 'node:fs/promises';
import { createServer } from 'node:net';
import { EngineError } from '@understudy/engine';
import { inspectDisk } from '../disk/inspect.ts';
import { codeOf, engineError, isDiskFull, reasonOf } from '../errors.ts';
import { makeFolder } from '../files.ts';
import type { Instance } from '../instance.ts';
import { pollUntil } from '../waiting.ts';

/** Recovery after a crash replays everything since the last checkpoint: it may take long, and progress is not visible. */
const startTimeoutMs = 24 * 3600 * 1000;

/**
 * Starts the server fenced: a standby that follows nobody. Resolves when it answers.
 *
 * @throws EngineError `ENGINE_DATA_REFUSED`, `ENGINE_PORT_IN_USE`, `ENGINE_BINARY_MISSING`, `ENGINE_DISK_FULL`, `ENGINE_START_FAILED`.
 */
export async function start(instance: Instance, signal: AbortSignal): Promise<void> {
  if (instance.postmaster.running === null) await launch(instance, signal);
  const running = instance.postmaster.running;
  if (running === null) throw await startFailure(instance);
  const answered = await pollUntil(
    async () => {
      if (instance.postmaster.running === null) throw await startFailure(instance);
      return (await answers(instance)) ? true : null;
    },
    { everyMs: 10, timeoutMs: startTimeoutMs, signal },
  );
  if (answered !== null) return;
  throw new EngineError('ENGINE_START_FAILED', 'The server was still recovering after a day. Look at its log.', 'safe');
}

async function answers(instance: Instance): Promise<boolean> {
  try {
    await instance.sql.monitor(2000);
    return true;
  } catch (error) {
    if (error instanceof EngineError && ['ENGINE_UNREACHABLE', 'ENGINE_TIMEOUT'].includes(error.code)) return false;
    throw error;
  }
}

async function launch(instance: Instance, signal: AbortSignal): Promise<void> {
  const { options, config, postmaster, owner, paths } = instance;
  if ((await postmaster.adopt()) !== null) return;
  const disk = await inspectDisk(options.dataDir, instance.expected);
  if (disk.kind !== 'usable') throw notStartable(options.dataDir, disk);
  await requireFreePort(options.listen.host, options.listen.port);
  try {
    await makeFolder(paths.runDir, owner);
    // The server refuses a directory that others may read.
    await chmod(options.dataDir, 0o700);
    await config.prepareStart(disk.control);
  } catch (error) {
    throw engineError('ENGINE_START_FAILED', 'Preparing the start', error, 'safe');
  }
  instance.acks.forget();
  // A fence that came meanwhile must not be followed by a start.
  signal.throwIfAborted();
  const running = await postmaster.start(config.startArguments());
  instance.facts.of(running.pid);
}

function notStartable(dataDir: string, disk: { kind: string; problem?: string }): EngineError {
  const problem =
    disk.kind === 'refused'
      ? disk.problem
      : disk.kind === 'absent'
        ? `There is no data directory ${dataDir} yet.`
        : `The data directory ${dataDir} is an unfinished copy and must be made anew.`;
  return new EngineError('ENGINE_DATA_REFUSED', problem ?? 'The data directory cannot be used.', 'unsafe');
}

/** Tries to bind as the server will: its own message about a taken port is only in its log. */
async function requireFreePort(hosts: string, port: number): Promise<void> {
  for (const host of hosts.split(',').map((name) => name.trim())) {
    const problem = await bindProblem(host === '*' ? undefined : host, port);
    if (problem === null) continue;
    const taken = codeOf(problem) === 'EADDRINUSE';
    const text = taken
      ? `Port ${port} on ${host} is in use by another program. Stop it, or configure another port.`
      : `The server cannot listen on ${host}:${port}: ${reasonOf(problem)}. Correct the listen address.`;
    throw new EngineError('ENGINE_PORT_IN_USE', text, 'safe');
  }
}

function bindProblem(host: string | undefined, port: number): Promise<Error | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(error));
    server.listen({ port, ...(host === undefined ? {} : { host }), exclusive: true }, () => {
      server.close(() => resolve(null));
    });
  });
}

async function startFailure(instance: Instance): Promise<EngineError> {
  const log = await instance.postmaster.logTail(6);
  const how = instance.postmaster.lastExit ?? 'unknown exit';
  const code = isDiskFull(new Error(log)) ? 'ENGINE_DISK_FULL' : 'ENGINE_START_FAILED';
  return new EngineError(
    code,
    `The server ended while starting (${how}). Its log (${instance.paths.log}) ends: ${log}`,
    'safe',
  );
}
