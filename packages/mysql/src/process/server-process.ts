import { type ChildProcess, spawn } from 'node:child_process';
import { EngineError } from '@understudy/engine';
import {
  monotonicMs,
  type Owner,
  openLog,
  openToRead,
  pollUntil,
  readAt,
  readEnd,
  withFile,
} from '@understudy/engine/host';
import { reasonOf } from '../errors.ts';
import { serverEnvironment } from './environment.ts';
import { killPatienceMs, serverProcesses, signalProcess, startTicks } from './proc.ts';

const logBytesMax = 16 * 1024 * 1024;
const startLogBytes = 256 * 1024;
/** How often an adopted server, whose end nobody tells us, is looked for. */
const adoptedPollMs = 100;

export interface ServerProcessOptions {
  readonly program: string;
  readonly libraryPath: string | undefined;
  readonly dataDir: string;
  readonly logFile: string;
  readonly owner: Owner;
}

/** The running server: one that we started, or one that outlived the agent that did. */
export interface RunningServer {
  readonly pid: number;
  /** When this agent first saw it; monotonic. */
  readonly sinceMs: number;
  readonly origin: 'started' | 'adopted';
  /** Tells this process from a later one with the same id. */
  readonly startTicks: string | null;
}

/** The server's process: starts it, finds one that is already there, notices its end, kills it. It outlives the agent. */
export class ServerProcess {
  readonly #options: ServerProcessOptions;
  readonly #listeners: (() => void)[] = [];
  #running: RunningServer | null = null;
  #poll: NodeJS.Timeout | null = null;
  #exit: string | null = null;
  #logStart = 0;

  constructor(options: ServerProcessOptions) {
    this.#options = options;
  }

  get running(): RunningServer | null {
    return this.#running;
  }

  /** How the last server that we started ended, for error messages. */
  get lastExit(): string | null {
    return this.#exit;
  }

  /** Calls back as soon as the server's end is noticed: at once for a child, within a tenth of a second for an adopted one. */
  onExit(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Takes over a server that runs on this data directory already. */
  async adopt(): Promise<RunningServer | null> {
    if (this.#running !== null) return this.#running;
    const pid = (await serverProcesses(this.#options.dataDir))[0];
    if (pid === undefined) return null;
    const running = { pid, sinceMs: monotonicMs(), origin: 'adopted', startTicks: startTicks(pid) } as const;
    this.#running = running;
    this.#poll = setInterval(() => this.check(), adoptedPollMs);
    this.#poll.unref();
    return running;
  }

  /**
   * Starts the server. It is not ready when this resolves.
   *
   * @throws EngineError `ENGINE_BINARY_MISSING` when the program cannot be run.
   */
  async start(args: readonly string[]): Promise<RunningServer> {
    const { program, dataDir, owner, libraryPath, logFile } = this.#options;
    await this.killLeftovers();
    const log = await openLog(logFile, owner, logBytesMax);
    try {
      this.#logStart = (await log.stat()).size;
      const child = spawn(program, args, {
        cwd: dataDir,
        env: serverEnvironment(dataDir, libraryPath),
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        ...(owner ?? {}),
      });
      const pid = await spawned(child, program);
      const origin = 'started';
      const running: RunningServer = { pid, sinceMs: monotonicMs(), origin, startTicks: startTicks(pid) };
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
  check(): 'running' | 'gone' {
    const running = this.#running;
    if (running === null) return 'gone';
    const ticks = startTicks(running.pid);
    if (ticks !== null && ticks === running.startTicks) return 'running';
    this.#gone(running);
    return 'gone';
  }

  #gone(which: RunningServer): void {
    if (this.#running !== which) return;
    this.#running = null;
    this.detach();
    for (const listener of this.#listeners) listener();
  }

  /** Asks the server to shut down in order. */
  terminate(): void {
    if (this.#running !== null) signalProcess(this.#running.pid, 'SIGTERM');
  }

  /** Waits until the server has ended. */
  async waitForExit(timeoutMs: number): Promise<'gone' | 'running'> {
    const check = async () => (this.check() === 'gone' ? true : null);
    return (await pollUntil(check, { everyMs: 5, timeoutMs })) === null ? 'running' : 'gone';
  }

  /**
   * Ends the server at once and waits until it is gone.
   *
   * @throws EngineError `ENGINE_STOP_TIMEOUT` when it cannot be killed (stuck in the kernel).
   */
  async kill(): Promise<void> {
    const running = this.#running;
    if (running !== null) signalProcess(running.pid, 'SIGKILL');
    await this.killLeftovers();
    if (running !== null && (await this.waitForExit(killPatienceMs)) === 'running') throw unkillable([running.pid]);
  }

  /** Kills servers of this data directory that are still there: they hold its locks and could still write. */
  async killLeftovers(): Promise<void> {
    let left: readonly number[] = [];
    const kill = async (): Promise<true | null> => {
      left = await serverProcesses(this.#options.dataDir);
      for (const pid of left) signalProcess(pid, 'SIGKILL');
      return left.length === 0 ? true : null;
    };
    if ((await pollUntil(kill, { everyMs: 5, timeoutMs: killPatienceMs })) === null) throw unkillable(left);
  }

  /** Stops watching; the server itself runs on. */
  detach(): void {
    if (this.#poll !== null) clearInterval(this.#poll);
    this.#poll = null;
  }

  /** What the server that we started last has said while it started. */
  async startLog(): Promise<string> {
    return withFile(openToRead(this.#options.logFile), async (file) =>
      (await readAt(file, this.#logStart, startLogBytes)).toString('utf8'),
    );
  }

  /** The last lines of the server's log that say something, for error messages. */
  async logTail(lines: number): Promise<string> {
    const { text } = await readEnd(this.#options.logFile, 16_384).catch(() => ({ text: '' }));
    const all = text.trim().split('\n');
    const telling = all.filter((line) => /\[ERROR\]/.test(line));
    return (telling.length > 0 ? telling : all).slice(-lines).join(' / ');
  }
}

function unkillable(pids: readonly number[]): EngineError {
  const text = `Server processes ${pids.join(', ')} do not end although they were killed; they are probably stuck on a disk.`;
  return new EngineError('ENGINE_STOP_TIMEOUT', `${text} Repair the disk or reboot the host.`, 'safe');
}

function spawned(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      const text = `Cannot run ${program}: ${reasonOf(error)}. Is the server installed there, and may its user run it?`;
      reject(new EngineError('ENGINE_BINARY_MISSING', text, 'safe', { cause: error }));
    });
    child.once('spawn', () => {
      if (child.pid !== undefined) resolve(child.pid);
    });
  });
}
