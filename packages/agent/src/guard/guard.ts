/**
 * The guard: owns the database server's life when its agent can not. It knows two things, the deadline until which the server may act
 * as a primary and whether the agent beats, and does two things, kill the server and start the agent again.
 */

import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { monotonicMs } from '@understudy/base';
import { isAlive, isSameProcess, type ProcessName, signalProcess } from '@understudy/base/processes';
import { dueForKill, excuseLateness, judgeAgent, NO_ORDER, orderInForce, wasStarved } from '@understudy/core/guard';
import { killTree, type StartedAs, startedAs, stateOf } from './proc.ts';
import { Lines, line, parseToGuard, type ServerKillOrder, type ToGuard } from './protocol.ts';

export interface GuardOptions {
  readonly runDir: string;
  /** Where the output of agents goes that this guard starts. */
  readonly agentOutput: string;
  readonly watchdog: () => 'off' | 'armed' | 'failed';
  readonly log: (text: string) => void;
  /** Ends the guard's process. */
  readonly exit: () => void;
}

interface Agent {
  readonly process: ProcessName;
  readonly restart: 'yes' | 'no';
  readonly started: StartedAs | null;
  readonly socket: Socket;
}

/** As in agent/memory.ts, which is not loaded here. */
const MEMORY_ENVIRONMENT = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '32768', MALLOC_TRIM_THRESHOLD_: '32768' };
const MAX_RESTARTS = 30;
const FIRST_RESTART_PAUSE_MS = 500;
const LAST_RESTART_PAUSE_MS = 30_000;
/** An agent that beat for this long was well: its death is the first again. */
const WELL_AFTER_MS = 3_000;
/** A guard without agent and without anything to kill goes away after this. */
const USELESS_AFTER_MS = 60_000;

export class Guard {
  readonly #options: GuardOptions;
  #agent: Agent | null = null;
  #order: ServerKillOrder = NO_ORDER;
  #lastBeatMs: number = monotonicMs();
  #helloMs = monotonicMs();
  #agentGoneMs: number | null = monotonicMs();
  #restarts = 0;
  #restartAtMs: number | null = null;
  #lastStarted: StartedAs | null = null;
  #timer: NodeJS.Timeout | null = null;
  #timerDueMs = 0;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#schedule();
  }

  /** Whether the server is within its time: the kernel's watchdog is fed only then. */
  withinAuthority(): boolean {
    return dueForKill(this.#order, monotonicMs()) === null;
  }

  /** A process connected. It becomes the agent with its `hello`. */
  connected(socket: Socket): void {
    const lines = new Lines((text) => {
      const message = parseToGuard(text);
      if (message !== null) this.#message(socket, message);
    });
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => lines.push(text));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#disconnected(socket));
  }

  #message(socket: Socket, message: ToGuard): void {
    if (message.kind === 'hello') this.#hello(socket, message);
    else if (this.#agent?.socket === socket) {
      if (message.kind === 'bye') this.#bye(message.guard);
      else this.#beat(socket, message);
    }
  }

  #beat(socket: Socket, message: Extract<ToGuard, { kind: 'beat' }>): void {
    this.#lastBeatMs = monotonicMs();
    const { server, untilMs, certainty } = message;
    this.#order = orderInForce(this.#order, { server, untilMs, certainty }, isSameProcess);
    if (message.ask !== null) socket.write(line({ kind: 'answer', to: message.ask }));
    this.#schedule();
  }

  #hello(socket: Socket, { agent, restart }: Extract<ToGuard, { kind: 'hello' }>): void {
    this.#options.log(`agent ${agent.pid} reports, restart: ${restart}`);
    this.#agent = { process: agent, restart, started: startedAs(agent.pid), socket };
    this.#helloMs = monotonicMs();
    this.#lastBeatMs = this.#helloMs;
    this.#agentGoneMs = null;
    this.#restartAtMs = null;
    socket.write(line({ kind: 'welcome', guard: process.pid, watchdog: this.#options.watchdog() }));
    this.#schedule();
  }

  #bye(what: 'exit' | 'stay'): void {
    this.#options.log(`agent ends in order, guard: ${what}`);
    this.#agent = null;
    this.#agentGoneMs = monotonicMs();
    if (what === 'exit') this.#options.exit();
    else this.#schedule();
  }

  #disconnected(socket: Socket): void {
    if (this.#agent?.socket !== socket) return;
    // Usually the process is gone. If it only lost its connection it comes back with a new hello, or falls silent and is judged.
    if (!isAlive(this.#agent.process)) this.#agentDied(this.#agent);
    else setTimeout(() => this.#onTimer(), 20);
  }

  #agentDied(agent: Agent): void {
    this.#agent = null;
    this.#agentGoneMs = monotonicMs();
    this.#options.log(`agent ${agent.process.pid} died, restart: ${agent.restart}`);
    if (monotonicMs() - this.#helloMs > WELL_AFTER_MS) this.#restarts = 0;
    if (agent.restart === 'yes' && agent.started !== null) {
      this.#lastStarted = agent.started;
      this.#planRestart();
    }
    this.#schedule();
  }

  #planRestart(): void {
    if (!existsSync(this.#options.runDir)) {
      // Somebody has removed the node: there is nothing to start again.
      this.#restartAtMs = null;
      return;
    }
    if (this.#restarts >= MAX_RESTARTS) {
      this.#restartAtMs = null;
      this.#options.log(`agent died ${MAX_RESTARTS} times in a row: not started again`);
      return;
    }
    const stepMs = Math.min(LAST_RESTART_PAUSE_MS, FIRST_RESTART_PAUSE_MS * 2 ** (this.#restarts - 1));
    const pauseMs = this.#restarts === 0 ? 0 : stepMs * (0.5 + Math.random() / 2);
    this.#restartAtMs = monotonicMs() + pauseMs;
  }

  #restart(): void {
    const started = this.#lastStarted;
    this.#restartAtMs = null;
    if (started === null) return;
    this.#restarts++;
    const output = openOutput(this.#options.agentOutput);
    const child = spawn(started.program, [...started.args], {
      cwd: started.folder,
      env: { ...MEMORY_ENVIRONMENT, ...started.env },
      detached: true,
      stdio: ['ignore', output ?? 'ignore', output ?? 'ignore'],
    });
    if (output !== null) closeSync(output);
    this.#options.log(`started agent again as ${child.pid}, attempt ${this.#restarts}`);
    const again = (how: string) => {
      // An agent that ends before it reported is tried again; one that had reported is noticed through its socket.
      if (this.#agent !== null || this.#restartAtMs !== null || this.#agentGoneMs === null) return;
      this.#options.log(`agent ${child.pid} ended before it reported: ${how}`);
      this.#planRestart();
      this.#schedule();
    };
    child.once('error', (error) => again(error.message));
    child.once('exit', (code, name) => again(name ?? `exit code ${code}`));
    child.unref();
  }

  /** Everything that depends on time. */
  #check(): void {
    const now = monotonicMs();
    this.#enforceDeadline(now);
    if (this.#restartAtMs !== null && now >= this.#restartAtMs) this.#restart();
    const agent = this.#agent;
    if (agent !== null) this.#judgeAgent(agent, now);
    if (this.#isUseless(now)) {
      this.#options.log('nothing left to guard');
      this.#options.exit();
      return;
    }
    this.#schedule();
  }

  /** Without agent, without a restart in view and without a server to kill: after a while, or at once where the node was removed. */
  #isUseless(now: number): boolean {
    if (this.#agent !== null || this.#restartAtMs !== null || this.#agentGoneMs === null) return false;
    if (this.#hasServerToGuard()) return false;
    return now - this.#agentGoneMs > USELESS_AFTER_MS || !existsSync(this.#options.runDir);
  }

  #hasServerToGuard(): boolean {
    const { server, untilMs } = this.#order;
    return untilMs !== null && server !== null && isAlive(server);
  }

  #enforceDeadline(now: number): void {
    const server = dueForKill(this.#order, now);
    if (server === null) return;
    const lateMs = Math.round(now - (this.#order.untilMs ?? now));
    const killed = killTree(server);
    if (killed.length > 0) {
      this.#options.log(
        `authority ended ${lateMs} ms ago: killed server ${server.pid} and ${killed.length - 1} children`,
      );
    }
    const left = killed.filter(isAlive);
    if (left.length > 0) {
      // A process in the kernel dies when it comes out; until then this is looked at again and again.
      this.#options.log(`still there: ${left.map(({ pid }) => pid).join(', ')}`);
      return;
    }
    this.#order = NO_ORDER;
  }

  #judgeAgent(agent: Agent, now: number): void {
    const verdict = judgeAgent({ silentMs: now - this.#lastBeatMs, state: stateOf(agent.process) });
    if (verdict.kind === 'dead') this.#agentDied(agent);
    if (verdict.kind !== 'frozen') return;
    this.#options.log(`agent ${agent.process.pid} is frozen (${verdict.why}): killed`);
    signalProcess(agent.process, 'SIGKILL');
  }

  #schedule(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const now = monotonicMs();
    const dueMs = Math.max(now + 1, Math.min(...this.#wakeUps(now)));
    this.#timerDueMs = dueMs;
    this.#timer = setTimeout(() => this.#onTimer(), dueMs - now);
  }

  #wakeUps(now: number): number[] {
    const times = [now + (this.#agent === null ? 2_000 : 10_000)];
    const { server, untilMs } = this.#order;
    if (server !== null && untilMs !== null) times.push(untilMs > now ? untilMs : now + 5);
    if (this.#restartAtMs !== null) times.push(this.#restartAtMs);
    if (this.#agent !== null) {
      const verdict = judgeAgent({ silentMs: now - this.#lastBeatMs, state: 'S' });
      times.push(verdict.kind === 'well' ? now + verdict.lookAgainInMs : now + 100);
    }
    return times;
  }

  #onTimer(): void {
    const now = monotonicMs();
    const lateMs = now - this.#timerDueMs;
    // Timers come before input: the beats that wait in the socket, of which one may move the deadline, are read first.
    if (!wasStarved(lateMs)) {
      setImmediate(() => this.#check());
      return;
    }
    // The guard itself did not run: what the agent missed to say in that time is no sign.
    this.#lastBeatMs = excuseLateness(this.#lastBeatMs, lateMs, now);
    setImmediate(() => {
      this.#enforceDeadline(monotonicMs());
      this.#schedule();
    });
  }
}

const MAX_OUTPUT_BYTES = 10 * 1024 * 1024;

/** Appends, and starts anew when what is there has grown large. Null when there is no room for it: the agent matters more than its output. */
function openOutput(file: string): number | null {
  try {
    const size = existsSync(file) ? statSync(file).size : 0;
    return openSync(file, size > MAX_OUTPUT_BYTES ? 'w' : 'a', 0o600);
  } catch {
    return null;
  }
}
