import { Backoff, pause, withDeadline } from '@understudy/base';
/** The agent's side of the guard: starts it, keeps it alive, tells it the deadline, and notices when it does not answer. */

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isAlive, type ProcessName, processName, signalProcess } from '@understudy/base/processes';
import { UNDECIDED } from '@understudy/core';
import { AgentError } from '../errors.ts';
import { pidFileOf, socketPathOf } from './paths.ts';
import { type FromGuard, Lines, line, parseFromGuard, type ServerKillOrder, type ToGuard } from './protocol.ts';

export interface GuardClientOptions {
  readonly runDir: string;
  readonly restart: 'yes' | 'no';
  readonly watchdogDevice: string | null;
  /** Running time of this process. */
  readonly runningMs: () => number;
  readonly log: (text: string) => void;
}

const ANSWER_MS = 1_500;
const ASK_EVERY_MS = 1_000;

export class GuardClient {
  readonly #options: GuardClientOptions;
  readonly #backoff = new Backoff(50, 2_000);
  #socket: Socket | null = null;
  #welcome: Extract<FromGuard, { kind: 'welcome' }> | null = null;
  #order: ServerKillOrder = UNDECIDED;
  #asked = 0;
  #askedAtMs: number | null = null;
  #lastAskMs = Number.NEGATIVE_INFINITY;
  readonly #waiting = new Map<number, () => void>();
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  #problem: string | null = 'not started yet';

  constructor(options: GuardClientOptions) {
    this.#options = options;
  }

  start(): void {
    this.#connect('spawn');
  }

  /** A sentence on the guard's state. */
  describe(): string {
    if (this.#welcome === null) return `not connected: ${this.#problem ?? 'starting'}`;
    const { guard, watchdog } = this.#welcome;
    return `process ${guard}${watchdog === 'off' ? '' : `, watchdog ${watchdog}`}`;
  }

  get state(): 'ready' | 'missing' {
    return this.#welcome === null ? 'missing' : 'ready';
  }

  get watchdog(): 'off' | 'armed' | 'failed' {
    return this.#welcome?.watchdog ?? 'off';
  }

  /** Tells the guard that this agent lives, and what to enforce. To be called once a tick and at every change. */
  beat(order: ServerKillOrder): void {
    this.#order = order;
    if (this.#welcome === null || this.#closed) return;
    const now = this.#options.runningMs();
    if (this.#askedAtMs !== null && now - this.#askedAtMs > ANSWER_MS) {
      this.#replace('it does not answer');
      return;
    }
    const ask = now - this.#lastAskMs >= ASK_EVERY_MS && this.#askedAtMs === null ? this.#nextAsk(now) : null;
    this.#send({ kind: 'beat', ...order, ask });
  }

  /**
   * Makes sure that the guard knows `order` before this resolves: a server is opened for writes only after that.
   * @throws AgentError `GUARD_UNAVAILABLE`
   */
  async confirm(order: ServerKillOrder, limitMs: number): Promise<void> {
    this.#order = order;
    const late = () =>
      new AgentError(
        'GUARD_UNAVAILABLE',
        `The guard did not confirm the deadline within ${limitMs} ms (${this.describe()}).`,
        { next: 'See guard.log in the run directory.' },
      );
    const endsAt = this.#options.runningMs() + limitMs;
    // One that was just started is there in a moment: a promotion that is given up costs an epoch.
    await this.#reachStarted(endsAt);
    if (this.#welcome === null) throw late();
    const ask = this.#nextAsk(this.#options.runningMs());
    const answered = new Promise<void>((resolve) => this.#waiting.set(ask, resolve));
    this.#send({ kind: 'beat', ...order, ask });
    try {
      await withDeadline(answered, Math.max(1, endsAt - this.#options.runningMs()), late);
    } finally {
      this.#waiting.delete(ask);
    }
  }

  /** Says good-bye. `exit`: nothing is left to guard. `stay`: the guard keeps the last order for the next agent. */
  async close(guard: 'exit' | 'stay'): Promise<void> {
    await this.#reachStarted(this.#options.runningMs() + ANSWER_MS);
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const socket = this.#socket;
    if (socket === null || socket.destroyed) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    this.#send({ kind: 'beat', ...this.#order, ask: null });
    socket.end(line({ kind: 'bye', guard }));
    await withDeadline(closed, 500, () => new Error('late')).catch(() => socket.destroy());
  }

  /** Waits for a guard that was started and is not connected yet: it would hear neither a deadline nor the good-bye. */
  async #reachStarted(endsAt: number): Promise<void> {
    const isStarting = (): boolean => this.#timer !== null || this.#socket !== null;
    while (this.#welcome === null && isStarting() && this.#options.runningMs() < endsAt) await pause(20);
  }

  #nextAsk(now: number): number {
    this.#asked++;
    this.#lastAskMs = now;
    this.#askedAtMs ??= now;
    return this.#asked;
  }

  #send(message: ToGuard): void {
    const socket = this.#socket;
    if (socket?.writable && socket.writableLength < 65_536) socket.write(line(message));
  }

  #connect(otherwise: 'spawn' | 'wait'): void {
    this.#timer = null;
    const socket = connect(socketPathOf(this.#options.runDir));
    this.#socket = socket;
    socket.setEncoding('utf8');
    const lines = new Lines((text) => this.#line(text));
    // A guard that is frozen accepts connections (the kernel does), but does not say welcome.
    const patience = setTimeout(() => this.#replace('it did not say welcome'), ANSWER_MS);
    socket.once('connect', () => {
      const agent = processName(process.pid);
      if (agent !== null) this.#send({ kind: 'hello', agent, restart: this.#options.restart });
    });
    socket.on('data', (text: string) => {
      clearTimeout(patience);
      lines.push(text);
    });
    socket.on('error', (error) => {
      this.#problem = error.message;
    });
    socket.on('close', () => {
      clearTimeout(patience);
      this.#lost(socket, otherwise);
    });
  }

  #line(text: string): void {
    const message = parseFromGuard(text);
    if (message === null) return;
    if (message.kind === 'welcome') {
      this.#welcome = message;
      this.#problem = null;
      this.#backoff.reset();
      this.#options.log(`guard: ${this.describe()}`);
      this.beat(this.#order);
      return;
    }
    this.#askedAtMs = null;
    this.#waiting.get(message.to)?.();
  }

  #lost(socket: Socket, otherwise: 'spawn' | 'wait'): void {
    if (this.#socket !== socket || this.#closed) return;
    const wasThere = this.#welcome !== null;
    this.#socket = null;
    this.#welcome = null;
    this.#askedAtMs = null;
    if (wasThere) this.#options.log('guard: gone, starting another');
    if (wasThere || otherwise === 'spawn') this.#spawn();
    const pauseMs = this.#backoff.nextMs();
    // Between starting one and taking it for failed there are several attempts to connect.
    this.#timer = setTimeout(() => this.#connect(pauseMs > 800 ? 'spawn' : 'wait'), pauseMs);
  }

  /** Kills a guard that does not do its work; the closed connection starts another. */
  #replace(why: string): void {
    const name = this.#guardProcess();
    this.#options.log(`guard: ${why}; killing ${name?.pid ?? 'nothing'} and starting another`);
    this.#problem = why;
    if (name !== null && isAlive(name)) signalProcess(name, 'SIGKILL');
    this.#socket?.destroy();
  }

  #guardProcess(): ProcessName | null {
    if (this.#welcome !== null) return processName(this.#welcome.guard);
    try {
      const text = readFileSync(pidFileOf(this.#options.runDir), 'utf8');
      const value: unknown = JSON.parse(text);
      if (typeof value !== 'object' || value === null || !('pid' in value) || !('startTicks' in value)) return null;
      const { pid, startTicks } = value;
      return typeof pid === 'number' && typeof startTicks === 'string' ? { pid, startTicks } : null;
    } catch {
      return null;
    }
  }

  #spawn(): void {
    const { runDir, watchdogDevice, log } = this.#options;
    const entry = new URL(import.meta.url.endsWith('.ts') ? './main.ts' : './main.js', import.meta.url);
    const args = [...GUARD_FLAGS, fileURLToPath(entry), runDir, ...(watchdogDevice === null ? [] : [watchdogDevice])];
    // Compiled code is kept between starts: the compiler of TypeScript then need not be loaded, which halves the guard's memory.
    const cache = join(runDir, 'compiled');
    const env = { ...process.env, NODE_COMPILE_CACHE: cache };
    const warm = existsSync(cache)
      ? null
      : spawn(process.execPath, [fileURLToPath(entry), '--warm'], { env, stdio: 'ignore' });
    const go = () => {
      if (this.#closed) return;
      const child = spawn(process.execPath, args, { cwd: '/', env, detached: true, stdio: 'ignore' });
      child.once('error', (error) => log(`guard: cannot be started: ${error.message}`));
      child.unref();
    };
    if (warm === null) {
      go();
      return;
    }
    warm.once('error', (error) => log(`guard: cannot be started: ${error.message}`));
    warm.once('exit', go);
  }
}

/** The guard allocates next to nothing: small heaps, no helper threads. */
const GUARD_FLAGS = ['--max-old-space-size=24', '--max-semi-space-size=1', '--v8-pool-size=0'];
