import type { Ms } from '@understudy/core';
import type { HostClock } from '../time/clock.ts';
import type { Scheduler } from '../time/scheduler.ts';

/**
 * One operating-system process in virtual time: what it planned happens only while it lives, and waits while it is stopped by a
 * signal. After the thaw everything that was due happens in its old order: a thawed process acts on what it knew before.
 */
export class SimProcess {
  readonly scheduler: Scheduler;
  readonly clock: HostClock;
  alive = false;
  /** Grows with every start and every end. */
  life = 0;
  #frozen = 0;
  #deferred: (() => void)[] = [];

  constructor(scheduler: Scheduler, clock: HostClock) {
    this.scheduler = scheduler;
    this.clock = clock;
  }

  get frozen(): boolean {
    return this.#frozen > 0;
  }

  localNow(): Ms {
    return this.clock.monotonic(this.scheduler.now);
  }

  begin(): void {
    this.alive = true;
    this.life += 1;
    this.#deferred = [];
  }

  end(): void {
    this.alive = false;
    this.life += 1;
    this.#deferred = [];
  }

  freeze(): void {
    this.#frozen += 1;
  }

  thaw(): void {
    this.#frozen -= 1;
    if (this.#frozen > 0) return;
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const action of deferred) action();
  }

  /** Ends every freeze: a process that is replaced starts unfrozen. */
  unfreeze(): void {
    this.#frozen = 0;
  }

  /** Plans `action` after `localMs` of this host's clock. A dead process plans nothing. */
  later(localMs: number, action: () => void): void {
    if (!this.alive) return;
    const { life } = this;
    this.scheduler.after(this.clock.trueDuration(localMs), () => {
      this.runIn(life, action);
    });
  }

  /** Runs `action` now if the process of `life` still lives, after the thaw if it is frozen. */
  runIn(life: number, action: () => void): void {
    if (life !== this.life) return;
    if (this.#frozen > 0) this.#deferred.push(() => this.runIn(life, action));
    else action();
  }
}
