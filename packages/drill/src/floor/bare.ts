import { type ChildProcess, spawn } from 'node:child_process';
import { pollUntil } from '@understudy/base';
import { copyFolder as copyTree, makeFolder, removeTree, replaceFile } from '@understudy/engine/host';
import { serverUser } from '@understudy/servers';
import type { Session } from '../database/session.ts';
import { DrillError } from '../errors.ts';

/** Two servers, one of which follows the other: no agents, no acknowledgements, nothing of ours. */
export interface BarePair {
  /** A connection to the standby that was open before anything happens. */
  readonly writer: Session;
  /** Ends the primary's first process with SIGKILL. */
  kill(): void;
  /** The engine's own one statement, on a connection that was open before. Resolves when the server says that it is done. */
  promote(): Promise<void>;
  close(): Promise<void>;
}

/** How one engine makes such a pair. */
export interface BareEngine {
  /** Makes the data that every pair begins with, in `folder`. */
  prepare(folder: string): Promise<void>;
  /** Starts a pair in `folder`, from what `prepare` made; resolves when the standby has all that the primary has. */
  open(folder: string): Promise<BarePair>;
}

export const readyMs = 120_000;

/** A server of a pair, and its end. */
export class BareServer {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #words = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#words = (this.#words + chunk.toString('utf8')).slice(-2000);
    });
    this.#ended = new Promise((resolve) => {
      child.once('error', () => resolve());
      child.once('exit', () => resolve());
    });
  }

  /** Starts a program as the servers' user, in a process group of its own. */
  static start(program: string, args: readonly string[], home: string): BareServer {
    const user = serverUser();
    const child = spawn(program, args, {
      cwd: home,
      env: { PATH: process.env.PATH, HOME: home, LC_ALL: 'C' },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
    });
    return new BareServer(child);
  }

  /** The last words of a server that has ended; null while it runs. */
  get lastWords(): string | null {
    return this.#child.exitCode === null && this.#child.signalCode === null ? null : this.#words.trim();
  }

  /** The first process alone, as `kill -9 PID` does. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** In order, then by force. */
  async stop(signal: 'SIGINT' | 'SIGTERM'): Promise<void> {
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#killGroup(), 20_000);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Everything of it. */
  async end(): Promise<void> {
    this.#killGroup();
    await this.#ended;
  }

  #killGroup(): void {
    const { pid } = this.#child;
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
}

/** Asks until there is an answer; a server that has ended says why. @throws DrillError `SETUP_FAILED` */
export async function awaitOf<T>(
  what: string,
  server: BareServer,
  signal: AbortSignal,
  check: () => Promise<T | null>,
): Promise<T> {
  const found = await pollUntil(
    () => {
      if (server.lastWords === null) return check();
      throw new DrillError('SETUP_FAILED', `The floor cannot be measured: a server ended: ${server.lastWords}`);
    },
    { everyMs: 20, timeoutMs: readyMs, signal },
  );
  if (found !== null) return found;
  throw new DrillError('SETUP_FAILED', `The floor cannot be measured: no ${what} within ${readyMs / 1000} s.`);
}

/** A file of an empty database is much smaller. */
const fileBytesMax = 1024 ** 3;

/** An empty folder of the servers' user. */
export async function ownFolder(path: string): Promise<void> {
  await removeTree(path);
  await makeFolder(path, serverUser());
}

/** A copy of a data directory, with its owners. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await removeTree(to);
  await copyTree(from, to, serverUser(), { durability: 'cached', bytesMax: fileBytesMax });
}

export function ownFile(path: string, text: string): Promise<void> {
  return replaceFile(path, text, serverUser(), { durability: 'cached' });
}
