import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { monotonicMs } from '@understudy/base';
import { type ProcessInfo, processInfo } from '@understudy/base/processes';
import { LocalError } from './errors.ts';
import { endGently } from './signals.ts';

/** One program that has to run: an agent or a member of the store. */
export interface Program {
  /** How it is called in messages. */
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly log: string;
  readonly user: { readonly uid: number; readonly gid: number } | null;
  readonly workingFolder: string;
  /** Waits this long with a restart for one that something else (the guard) has made; 0: nothing else makes one. */
  readonly yieldMs: number;
  /** Whether such a one runs. */
  readonly runsElsewhere: () => boolean;
}

export type SupervisedEvent =
  | { readonly kind: 'ended'; readonly name: string; readonly how: string }
  | { readonly kind: 'restarted'; readonly name: string };

const firstBackoffMs = 100;
const lastBackoffMs = 5000;
/** One that ran this long counts as healthy: its next end is restarted at once again, well within the agent's lease. */
const healthyAfterMs = 3000;

/**
 * Keeps one program running: starts it again when it ends, with growing pauses, until it is told to stop. This is what a service
 * manager does on a real host.
 */
export class Supervised {
  readonly #program: Program;
  readonly #onEvent: (event: SupervisedEvent) => void;
  #wanted: 'running' | 'stopped' = 'stopped';
  #child: ChildProcess | null = null;
  #startedMs = 0;
  #backoffMs = firstBackoffMs;
  #timer: NodeJS.Timeout | null = null;
  #lastEnd: string | null = null;

  constructor(program: Program, onEvent: (event: SupervisedEvent) => void) {
    this.#program = program;
    this.#onEvent = onEvent;
  }

  /** The process that was started last, while it runs. */
  get process(): ProcessInfo | null {
    const pid = this.#child?.pid;
    return pid === undefined || this.#child?.exitCode !== null || this.#child.signalCode !== null
      ? null
      : processInfo(pid);
  }

  /** How it ended last; null when it never did. */
  get lastEnd(): string | null {
    return this.#lastEnd;
  }

  start(): void {
    this.#wanted = 'running';
    if (this.process === null) this.#spawn();
  }

  /** Stops keeping it: whatever happens to the process now, it is not started again. */
  abandon(): void {
    this.#wanted = 'stopped';
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Asks it to end, waits, kills it when it does not. */
  async stop(graceMs: number): Promise<void> {
    this.abandon();
    const running = this.process;
    if (running !== null) await endGently([running], graceMs);
  }

  #spawn(): void {
    const { command, env, log, user, workingFolder, name } = this.#program;
    const [file, ...args] = command;
    if (file === undefined)
      throw new LocalError('AGENT_FAILED', `No command is known for ${name}.`, { retry: 'unsafe' });
    const output = openSync(log, 'a', 0o600);
    try {
      // A group of its own: Ctrl-C on the terminal comes to us, and we stop things in order.
      const child = spawn(file, args, {
        cwd: workingFolder,
        env: { ...process.env, ...env },
        detached: true,
        stdio: ['ignore', output, output],
        ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
      });
      this.#child = child;
      this.#startedMs = monotonicMs();
      let isOver = false;
      const over = (how: string): void => {
        if (isOver) return;
        isOver = true;
        this.#ended(child, how);
      };
      child.once('error', (error) => over(error.message));
      child.once('exit', (code, signal) => over(signal === null ? `exit code ${code}` : `signal ${signal}`));
    } finally {
      closeSync(output);
    }
  }

  #ended(child: ChildProcess, how: string): void {
    this.#lastEnd = how;
    if (this.#wanted === 'stopped' || this.#child !== child) return;
    this.#onEvent({ kind: 'ended', name: this.#program.name, how });
    if (monotonicMs() - this.#startedMs > healthyAfterMs) this.#backoffMs = firstBackoffMs;
    this.#restartIn(Math.max(this.#backoffMs, this.#program.yieldMs));
    this.#backoffMs = Math.min(lastBackoffMs, this.#backoffMs * 2);
  }

  #restartIn(delayMs: number): void {
    const jitterMs = delayMs * 0.2 * Math.random();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#wanted === 'stopped' || this.process !== null) return;
      if (this.#program.runsElsewhere()) {
        this.#restartIn(1000);
        return;
      }
      this.#onEvent({ kind: 'restarted', name: this.#program.name });
      this.#spawn();
    }, delayMs + jitterMs);
  }
}
