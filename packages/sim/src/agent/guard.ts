import { type Authority, addMs, type Ms } from '@understudy/core';
import { kill } from '../server/lifecycle.ts';
import type { SimServer } from '../server/server.ts';
import type { HostClock } from '../time/clock.ts';
import type { Random } from '../time/random.ts';
import type { Scheduler } from '../time/scheduler.ts';
import { SimProcess } from './process.ts';

const LOOK_MS = 400;
const LATE_MS = 100;
const READ_MS = 1;
const FIRST_WORD_MS = 500;

/**
 * The small process beside the agent that owns the server's life: it kills a primary whose time has run out, whether or not the agent
 * still runs, and replaces an agent that is dead or has not spoken for a while.
 */
export class SimGuard {
  readonly process: SimProcess;
  readonly #server: SimServer;
  readonly #random: Random;
  readonly #respawn: () => void;
  readonly #agentLives: () => boolean;
  #until: Ms | null = null;
  #planned: { readonly life: number; readonly until: Ms } | null = null;
  #agentSpokeAt: Ms;
  #patienceMs = 1500;
  /** True time when this guard was last frozen or dead: its promises begin anew after that. */
  impairedAt = 0;

  constructor(options: {
    readonly scheduler: Scheduler;
    readonly clock: HostClock;
    readonly server: SimServer;
    readonly random: Random;
    readonly respawn: () => void;
    readonly agentLives: () => boolean;
  }) {
    this.process = new SimProcess(options.scheduler, options.clock);
    this.#server = options.server;
    this.#random = options.random;
    this.#respawn = options.respawn;
    this.#agentLives = options.agentLives;
    this.#agentSpokeAt = this.process.localNow();
  }

  /** The deadline is kept in a file of the run directory: it outlives the guard, not the host. */
  start(why: 'boot' | 'restart'): void {
    this.process.begin();
    this.process.unfreeze();
    if (why === 'boot') this.#until = null;
    // The agent has the first word, if it lives: the deadline in the file is from before.
    if (this.#until !== null) this.process.later(FIRST_WORD_MS, () => this.#enforce());
    this.#agentSpokeAt = this.process.localNow();
    this.#patienceMs = this.#random.between(1200, 1800);
    this.#look();
  }

  /** What the agent decided about the server's authority. Nothing is renewed by `none`: what was granted before runs out by itself. */
  authorize(authority: Authority): void {
    const { process } = this;
    const { life } = process;
    process.runIn(life, () => {
      if (!process.alive) return;
      this.#agentSpokeAt = process.localNow();
      if (authority.kind === 'none') return;
      this.#until = authority.until;
      this.#planFence(authority.until);
    });
  }

  /** The agent is alive. */
  heartbeat(): void {
    this.authorize({ kind: 'none' });
  }

  /** One planned look per deadline; a later deadline re-plans when the earlier one comes. */
  #planFence(until: Ms): void {
    const { process } = this;
    if (this.#planned !== null && this.#planned.life === process.life && this.#planned.until <= until) return;
    const plan = { life: process.life, until };
    this.#planned = plan;
    process.later(until - process.localNow() + 1, () => {
      if (this.#planned !== plan) return;
      this.#planned = null;
      // After a pause of the guard itself, what the agent said meanwhile is read first.
      const late = process.localNow() - until > LATE_MS;
      if (late) process.later(READ_MS, () => this.#enforce());
      else this.#enforce();
    });
  }

  #enforce(): void {
    if (this.#until === null) return;
    if (this.#until > this.process.localNow()) this.#planFence(this.#until);
    else this.#fence();
  }

  #fence(): void {
    const { process } = this.#server;
    if (process === 'primary' || process === 'stopping') {
      this.#server.world.trace.note(`n${this.#server.index + 1}`, 'guard: time is up, killing the primary');
      kill(this.#server);
    }
    this.#until = null;
  }

  #look(): void {
    const dueAt = this.process.localNow() + LOOK_MS;
    this.process.later(LOOK_MS, () => {
      const now = this.process.localNow();
      // While the guard itself did not run, the agent's silence is no sign.
      this.#agentSpokeAt = addMs(this.#agentSpokeAt, Math.max(0, now - dueAt));
      // The end of a child is seen at once; one that does not speak may only be slow.
      const patienceMs = this.#agentLives() ? this.#patienceMs : LOOK_MS;
      if (now - this.#agentSpokeAt > patienceMs) {
        this.#agentSpokeAt = now;
        this.#respawn();
      }
      this.#look();
    });
  }
}
