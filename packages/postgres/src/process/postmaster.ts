import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { EngineError } from '@understudy/engine';
import {
  codeOf,
  monotonicMs,
  type Owner,
  openLog,
  pollUntil,
  readEnd,
  readIfThere,
  realFolder,
  removeFile,
} from '@understudy/engine/host';
import { reasonOf } from '../errors.ts';
import { hasEnded, isAlive, serverProcesses, startTicks, worksIn } from './proc.ts';
import { lastWords, logSizes } from './server-log.ts';

/** How long killed processes may take to disappear: on a busy machine they wait for a processor to die on. */
const killPatienceMs = 10_000;

const logBytesMax = 16 * 1024 * 1024;
/** How often an adopted server, whose end nobody tells us, is looked for. */
const adoptedPollMs = 100;

export interface PostmasterOptions {
  readonly program: string;
  readonly libraryPath: string | undefined;
  readonly dataDir: string;
  readonly logFile: string;
  readonly owner: Owner;
}

/** The running server process: one that we started, or one that outlived the agent that did. */
export interface RunningServer {
  readonly pid: number;
  /** When this agent first saw it; monotonic. */
  readonly sinceMs: number;
  readonly origin: 'started' | 'adopted';
  /** Tells this process from a later one with the same id. */
  readonly startTicks: string | null;
}

/** The environment of the server and its tools: nothing is inherited that libpq or the server would read. */
export function serverEnvironment(home: string, libraryPath: string | undefined): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    HOME: home,
    LC_ALL: 'C.UTF-8',
    ...(process.env.TZ === undefined ? {} : { TZ: process.env.TZ }),
    ...(libraryPath === undefined ? {} : { LD_LIBRARY_PATH: libraryPath }),
  };
}

/**
 * The server's first process: starts it, finds one that is already there, notices its end, kills it with all its children.
 * It runs in a session of its own and outlives the agent.
 */
export class Postmaster {
  readonly #options: PostmasterOptions;
  readonly #listeners: (() => void)[] = [];
  #running: RunningServer | null = null;
  #poll: NodeJS.Timeout | null = null;
  #exit: string | null = null;
  #starting = false;
  #logSizes: ReadonlyMap<string, number> = new Map();

  constructor(options: PostmasterOptions) {
    this.#options = options;
  }

  get running(): RunningServer | null {
    return this.#running;
  }

  /** How the last server that we started ended, for error messages. */
  get lastExit(): string | null {
    return this.#exit;
  }

  /** What the server that we started last wrote at its end. */
  lastWords(): Promise<string> {
    return lastWords(this.#options.dataDir, this.#options.logFile, this.#logSizes);
  }

  /** Calls back as soon as the server's end is noticed: at once for a child, within a tenth of a second for an adopted one. */
  onExit(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Takes over a server that runs on this data directory already. */
  async adopt(): Promise<RunningServer | null> {
    if (this.#starting) return null;
    const pid = await this.#recordedPid();
    const real = await realFolder(this.#options.dataDir).catch(() => null);
    if (pid === null || real === null || !(await worksIn(pid, real))) return null;
    const running: RunningServer = {
      pid,
      sinceMs: monotonicMs(),
      origin: 'adopted',
      startTicks: await startTicks(pid),
    };
    if (this.#running !== null || this.#starting) return this.#running;
    this.#running = running;
    this.#poll = setInterval(() => {
      if (hasEnded(pid, running.startTicks)) this.check().catch(() => undefined);
    }, adoptedPollMs);
    this.#poll.unref();
    return running;
  }

  async #recordedPid(): Promise<number | null> {
    try {
      const text = await readIfThere(join(this.#options.dataDir, 'postmaster.pid'));
      const pid = Number((text ?? '').split('\n')[0]);
      return Number.isInteger(pid) && pid > 1 ? pid : null;
    } catch {
      return null;
    }
  }

  /**
   * Starts the server. It is not ready when this resolves.
   *
   * @throws EngineError `ENGINE_BINARY_MISSING` when the program cannot be run.
   */
  async start(args: readonly string[]): Promise<RunningServer> {
    const { dataDir } = this.#options;
    this.#starting = true;
    try {
      await this.killLeftovers();
      await removeFile(join(dataDir, 'postmaster.pid'));
      return await this.#spawn(args);
    } finally {
      this.#starting = false;
    }
  }

  async #spawn(args: readonly string[]): Promise<RunningServer> {
    const { program, dataDir, owner, libraryPath, logFile } = this.#options;
    const log = await openLog(logFile, owner, logBytesMax);
    try {
      this.#logSizes = await logSizes(dataDir, logFile);
      const child = spawn(program, ['-D', dataDir, ...args], {
        cwd: dataDir,
        env: serverEnvironment(dataDir, libraryPath),
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        ...(owner ?? {}),
      });
      const pid = await spawned(child, program);
      const origin = 'started';
      const running: RunningServer = { pid, sinceMs: monotonicMs(), origin, startTicks: await startTicks(pid) };
      this.#running = running;
      this.#exit = null;
      child.once('exit', () => this.#exited(running, child));
      child.unref();
      // It may have ended before anybody listened.
      if (child.exitCode !== null || child.signalCode !== null) this.#exited(running, child);
      return running;
    } finally {
      await log.close();
    }
  }

  #exited(running: RunningServer, { exitCode, signalCode }: ChildProcess): void {
    this.#exit = signalCode === null ? `exit code ${exitCode}` : `signal ${signalCode}`;
    this.#gone(running);
  }

  /** Looks whether the server is still there, and tells the listeners when it is not. */
  async check(): Promise<'running' | 'gone'> {
    const running = this.#running;
    if (running === null) return 'gone';
    if ((await isAlive(running.pid)) && (await startTicks(running.pid)) === running.startTicks) return 'running';
    this.#gone(running);
    return 'gone';
  }

  #gone(which: RunningServer): void {
    if (this.#running !== which) return;
    this.#running = null;
    if (this.#poll !== null) clearInterval(this.#poll);
    this.#poll = null;
    for (const listener of this.#listeners) listener();
  }

  /** Sends a signal to the server's first process. */
  signal(name: 'SIGHUP' | 'SIGINT' | 'SIGQUIT'): void {
    const running = this.#running;
    if (running === null) throw new EngineError('ENGINE_UNREACHABLE', 'The server is not running.', 'safe');
    signalProcess(running.pid, name);
  }

  /** Waits until the server has ended. */
  async waitForExit(timeoutMs: number): Promise<'gone' | 'running'> {
    const gone = await pollUntil(async () => ((await this.check()) === 'gone' ? true : null), {
      everyMs: 5,
      timeoutMs,
    });
    return gone === null ? 'running' : 'gone';
  }

  /**
   * Ends the server and every process of it at once, and waits until they are gone.
   *
   * @throws EngineError `ENGINE_STOP_TIMEOUT` when one cannot be killed (stuck in the kernel).
   */
  async kill(): Promise<void> {
    const running = this.#running;
    // The first process first: it would start others in place of those that die.
    if (running !== null) signalProcess(running.pid, 'SIGKILL');
    await this.killLeftovers();
    if (running !== null && (await this.waitForExit(killPatienceMs)) === 'running') throw unkillable([running.pid]);
  }

  /** Kills processes of this data directory whose first process is gone: they hold its shared memory and could still write. */
  async killLeftovers(): Promise<void> {
    const { dataDir } = this.#options;
    const gone = await pollUntil(
      async () => {
        const left = await serverProcesses(dataDir);
        for (const pid of left) signalProcess(pid, 'SIGKILL');
        return left.length === 0 ? true : null;
      },
      { everyMs: 5, timeoutMs: killPatienceMs },
    );
    if (gone !== null) return;
    const left = await serverProcesses(dataDir);
    if (left.length > 0) throw unkillable(left);
  }

  /** Stops watching; the server itself runs on. */
  detach(): void {
    if (this.#poll !== null) clearInterval(this.#poll);
    this.#poll = null;
  }

  /** The last lines of the server's log, for error messages. */
  async logTail(lines: number): Promise<string> {
    const { text } = await readEnd(this.#options.logFile, 4000).catch(() => ({ text: '' }));
    return text.trim().split('\n').slice(-lines).join(' / ');
  }
}

function unkillable(pids: readonly number[]): EngineError {
  const text = `Server processes ${pids.join(', ')} do not end although they were killed; they are probably stuck on a disk.`;
  return new EngineError('ENGINE_STOP_TIMEOUT', `${text} Repair the disk or reboot the host.`, 'safe');
}

/** Sends a signal; a process that is gone already is what was wanted. */
export function signalProcess(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

function spawned(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      const text = `Cannot run ${program}: ${reasonOf(error)}. Is PostgreSQL installed there, and may the server's user run it?`;
      reject(new EngineError('ENGINE_BINARY_MISSING', text, 'safe', { cause: error }));
    });
    child.once('spawn', () => {
      if (child.pid !== undefined) resolve(child.pid);
    });
  });
}
