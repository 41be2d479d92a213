import {
  dueForKill,
  excuseLateness,
  judgeAgent,
  type KillOrder,
  type Ms,
  NO_ORDER,
  orderInForce,
  wasStarved,
} from '@understudy/core';
import { kill } from '../server/lifecycle.ts';
import type { SimServer } from '../server/server.ts';
import type { HostClock } from '../time/clock.ts';
import type { Random } from '../time/random.ts';
import type { Scheduler } from '../time/scheduler.ts';
import { SimProcess } from './process.ts';

/** How often a guard looks at its agent at least: drawn, so that no two guards look in step. */
const LOOK_MS = { least: 300, most: 500 } as const;
/** A timer fires a little after its time. */
const TIMER_MS = 1;
/** What waits in the socket is read before anything is done about a deadline that was missed. */
const READ_MS = 1;
/** A process that the kernel does not let go is killed again. */
const KILL_AGAIN_MS = 100;

/** Which processes of the server: every start makes others. */
export type ServerLife = number;

export const isSameLife = (a: ServerLife | null, b: ServerLife | null): boolean => a !== null && a === b;

/** The server's processes as its agent names them to the guard; null while there are none. */
export const lifeOf = (server: SimServer): ServerLife | null => (server.running ? server.life : null);

export interface GuardHost {
  readonly scheduler: Scheduler;
  readonly clock: HostClock;
  readonly server: SimServer;
  readonly random: Random;
  readonly respawn: () => void;
  /** The scheduler's letter for the agent's process; null: it is gone. */
  readonly agentState: () => string | null;
}

/** The shell of a guard in virtual time: what it kills, and whom it replaces, the rules in `core` decide. */
export class SimGuard {
  readonly process: SimProcess;
  readonly #host: GuardHost;
  #order: KillOrder<ServerLife> = NO_ORDER;
  #planned: { readonly life: number; readonly until: Ms } | null = null;
  #lastBeat: Ms;
  #lookMs: number = LOOK_MS.most;
  #knows: 'nothing' | 'an order' = 'nothing';
  /** True time when this guard was last frozen or dead: its promises begin anew after that. */
  impairedAt = 0;

  constructor(host: GuardHost) {
    this.process = new SimProcess(host.scheduler, host.clock);
    this.#host = host;
    this.#lastBeat = this.process.localNow();
  }

  /** Whether the agent has decided anything since this process began. A guard that was replaced knows nothing before. */
  get isInformed(): boolean {
    return this.#knows === 'an order';
  }

  start(): void {
    this.process.begin();
    this.process.unfreeze();
    this.#order = NO_ORDER;
    this.#knows = 'nothing';
    this.#lastBeat = this.process.localNow();
    this.#lookMs = this.#host.random.between(LOOK_MS.least, LOOK_MS.most);
    this.#lookIn(this.#lookMs);
  }

  /** The agent lives, and says what to enforce. */
  beat(order: KillOrder<ServerLife>): void {
    const { process } = this;
    process.runIn(process.life, () => {
      if (!process.alive) return;
      this.#lastBeat = process.localNow();
      this.#order = orderInForce(this.#order, order, isSameLife);
      if (order.certainty === 'decided') this.#knows = 'an order';
      this.#planKill();
    });
  }

  /** One planned look per deadline; a later deadline plans again when the earlier one comes. */
  #planKill(): void {
    const { process } = this;
    const until = this.#order.untilMs as Ms | null;
    if (until === null) return;
    if (this.#planned !== null && this.#planned.life === process.life && this.#planned.until <= until) return;
    const plan = { life: process.life, until };
    this.#planned = plan;
    process.later(Math.max(0, until - process.localNow()) + TIMER_MS, () => {
      if (this.#planned !== plan) return;
      this.#planned = null;
      // After a pause of the guard itself, what the agent said meanwhile is read first.
      if (wasStarved(process.localNow() - until)) process.later(READ_MS, () => this.#enforce());
      else this.#enforce();
    });
  }

  #enforce(): void {
    const { server } = this.#host;
    const due = dueForKill(this.#order, this.process.localNow());
    if (due === null) {
      this.#planKill();
      return;
    }
    if (isSameLife(due, lifeOf(server))) {
      server.world.trace.note(`n${server.index + 1}`, 'guard: time is up, killing the server');
      kill(server);
    }
    if (isSameLife(due, lifeOf(server))) this.process.later(KILL_AGAIN_MS, () => this.#enforce());
    else this.#order = NO_ORDER;
  }

  #lookIn(delayMs: number): void {
    const dueAt = this.process.localNow() + delayMs;
    this.process.later(delayMs, () => {
      const now = this.process.localNow();
      const lateMs = now - dueAt;
      this.#lastBeat = excuseLateness(this.#lastBeat, lateMs, now) as Ms;
      this.#lookIn(wasStarved(lateMs) ? READ_MS : this.#look(now));
    });
  }

  /** Replaces an agent that is gone or frozen. Returns in how many ms to look again. */
  #look(now: Ms): number {
    const verdict = judgeAgent({ silentMs: now - this.#lastBeat, state: this.#host.agentState() });
    if (verdict.kind === 'well') return Math.min(this.#lookMs, verdict.lookAgainInMs);
    this.#lastBeat = now;
    this.#host.respawn();
    return this.#lookMs;
  }
}
