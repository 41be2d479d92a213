import { type ChildProcess, spawn } from 'node:child_process';
import { monotonicMs, pollUntil, reasonOf } from '@understudy/base';
import { signalPid, startTicksOf } from '@understudy/base/processes';
import { EngineError } from '../../index.ts';
import { type Owner, openLog } from '../files.ts';
import { type IsServer, killPatienceMs, serverProcesses } from './proc.ts';
import { firstWords, type LogFile, lastWords, logSizes } from './server-log.ts';

const logBytesMax = 16 * 1024 * 1024;
const firstWordsBytes = 256 * 1024;
/** How often an adopted server, whose end nobody tells us, is looked for. */
const adoptedPollMs = 100;

/** How the servers of one product are found and told apart. */
export interface ServerKind {
  readonly isServer: IsServer;
  /** The first process of a server that runs on this directory: the one to watch and to signal. */
  readonly find: (dataDir: string) => Promise<number | null>;
  /** Files beside our own log that a server on this directory writes its messages to. */
  readonly otherLogs?: (dataDir: string) => Promise<readonly LogFile[]>;
}

export interface ServerProcessOptions {
  readonly kind: ServerKind;
  readonly program: string;
  /** All of it: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
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

/**
 * The server's first process: starts it, finds one that is already there, notices its end, kills it with all its children. It runs in a
 * session of its own and outlives the agent.
 */
export class ServerProcess {
  readonly #options: ServerProcessOptions;
  readonly #listeners: (() => void)[] = [];
  #running: RunningServer | null = null;
  #poll: NodeJS.Timeout | null = null;
  #exit: string | null = null;
  #starting = false;
  /** How often the server was to be killed. */
  #kills = 0;
  #logSizes: ReadonlyMap<string, number> = new Map();

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
    if (this.#running !== null || this.#starting) return this.#running;
    const pid = await this.#options.kind.find(this.#options.dataDir);
    if (pid === null) return null;
    // Something may have been started while it was looked for.
    if (this.#running !== null || this.#starting) return this.#running;
    const running = { pid, sinceMs: monotonicMs(), origin: 'adopted', startTicks: startTicksOf(pid) } as const;
    this.#running = running;
    this.#poll = setInterval(() => this.check(), adoptedPollMs);
    this.#poll.unref();
    return running;
  }

  /**
   * Starts the server. It is not ready when this resolves.
   *
   * @param prepare what has to be done when no other server is left, and before this one begins.
   * @throws EngineError `ENGINE_BINARY_MISSING` when the program cannot be run; `ENGINE_START_FAILED` when the server was killed meanwhile.
   */
  async start(args: readonly string[], prepare: () => Promise<void> = async () => undefined): Promise<RunningServer> {
    const kills = this.#kills;
    this.#starting = true;
    try {
      await this.killLeftovers();
      await prepare();
      return await this.#spawn(args, kills);
    } finally {
      this.#starting = false;
    }
  }

  async #spawn(args: readonly string[], kills: number): Promise<RunningServer> {
    const { program, dataDir, owner, environment, logFile } = this.#options;
    const log = await openLog(logFile, owner, logBytesMax);
    try {
      this.#logSizes = await logSizes(await this.#logFiles());
      // From here to where the process is known to `kill`, nothing is waited for.
      if (this.#kills !== kills) throw killedMeanwhile();
      const child = spawn(program, args, {
        cwd: dataDir,
        env: environment,
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        ...(owner ?? {}),
      });
      const { pid } = child;
      if (pid === undefined) throw await notSpawned(child, program);
      const origin = 'started';
      const running: RunningServer = { pid, sinceMs: monotonicMs(), origin, startTicks: startTicksOf(pid) };
      this.#running = running;
      this.#exit = null;
      child.once('exit', () => this.#exited(running, child));
      child.unref();
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
    const ticks = startTicksOf(running.pid);
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

  /**
   * Sends a signal to the server's first process.
   *
   * @throws EngineError `ENGINE_UNREACHABLE` when it is not running.
   */
  signal(name: NodeJS.Signals): void {
    const running = this.#running;
    if (running === null) throw new EngineError('ENGINE_UNREACHABLE', 'The server is not running.');
    signalPid(running.pid, name);
  }

  /** As `signal`, for one that ends the server: when it is gone already, that is what was wanted. */
  terminate(name: NodeJS.Signals): void {
    if (this.#running !== null) this.signal(name);
  }

  /** Waits until the server has ended. */
  async waitForExit(timeoutMs: number): Promise<'gone' | 'running'> {
    const check = async () => (this.check() === 'gone' ? true : null);
    return (await pollUntil(check, { everyMs: 5, timeoutMs })) === null ? 'running' : 'gone';
  }

  /**
   * Ends the server and every process of it at once, and waits until they are gone. One that is being started does not start.
   *
   * @throws EngineError `ENGINE_STOP_TIMEOUT` when one cannot be killed (stuck in the kernel).
   */
  async kill(): Promise<void> {
    this.#kills += 1;
    const running = this.#running;
    // The first process first: it would start others in place of those that die.
    if (running !== null) signalPid(running.pid, 'SIGKILL');
    await this.killLeftovers();
    if (running !== null && (await this.waitForExit(killPatienceMs)) === 'running') throw unkillable([running.pid]);
  }

  /** Kills processes of this data directory that are still there: they hold its locks and its memory, and could still write. */
  async killLeftovers(): Promise<void> {
    const { dataDir, kind } = this.#options;
    const kill = async (): Promise<true | null> => {
      const left = await serverProcesses(dataDir, kind.isServer);
      for (const pid of left) signalPid(pid, 'SIGKILL');
      return left.length === 0 ? true : null;
    };
    if ((await pollUntil(kill, { everyMs: 5, timeoutMs: killPatienceMs })) !== null) return;
    const left = await serverProcesses(dataDir, kind.isServer);
    if (left.length > 0) throw unkillable(left);
  }

  /** Stops watching; the server itself runs on. */
  detach(): void {
    if (this.#poll !== null) clearInterval(this.#poll);
    this.#poll = null;
  }

  async #logFiles(): Promise<readonly LogFile[]> {
    const { dataDir, kind, logFile } = this.#options;
    return [{ path: logFile, by: null }, ...((await kind.otherLogs?.(dataDir)) ?? [])];
  }

  /** What the server that we started last wrote at its end; of one that was adopted, the end of its log. */
  async lastWords(maxBytes: number): Promise<string> {
    return lastWords(await this.#logFiles(), this.#logSizes, maxBytes);
  }

  /** What the server that we started last wrote at its beginning, in the log that it got from us. */
  firstWords(): Promise<string> {
    const { logFile } = this.#options;
    return firstWords(logFile, this.#logSizes.get(logFile) ?? 0, firstWordsBytes);
  }
}

function unkillable(pids: readonly number[]): EngineError {
  const text = `Server processes ${pids.join(', ')} do not end although they were killed; they are probably stuck on a disk.`;
  return new EngineError('ENGINE_STOP_TIMEOUT', text, { next: 'Repair the disk or reboot the host.' });
}

function killedMeanwhile(): EngineError {
  return new EngineError('ENGINE_START_FAILED', 'The server was to be killed while it was being started.');
}

/** Why there is no process: the error comes after the call has returned. */
function notSpawned(child: ChildProcess, program: string): Promise<EngineError> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      const text = `Cannot run ${program}: ${reasonOf(error)}.`;
      resolve(
        new EngineError('ENGINE_BINARY_MISSING', text, {
          next: 'Is the server installed there, and may its user run it?',
          cause: error,
        }),
      );
    });
  });
}
