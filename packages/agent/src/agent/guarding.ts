/** What this agent has its guard enforce: after every decision, before every promotion, and with every second pulse. */

import { isSameProcess, type ProcessName, processName } from '@understudy/base/processes';
import {
  type Decision,
  isToldAtOnce,
  killOrderFor,
  type Observation,
  orderBeforeOpening,
  UNDECIDED,
} from '@understudy/core';
import { AgentError } from '../errors.ts';
import type { GuardClient } from '../guard/client.ts';
import type { ServerKillOrder } from '../guard/protocol.ts';

const CONFIRM_MS = 2_000;
/** A process number belongs to another process at the earliest after this long, more or less. */
const LOOK_AGAIN_MS = 1_000;

/** Whether a server may be opened for writes without the kernel's watchdog. */
export type WatchdogNeed = 'required' | 'automatic';

export class Guarding {
  readonly #guard: GuardClient | null;
  readonly #runningMs: () => number;
  readonly #watchdog: WatchdogNeed;
  #order: ServerKillOrder = UNDECIDED;
  #server: { readonly name: ProcessName | null; readonly pid: number; readonly lookedAtMs: number } | null = null;
  #pulses = 0;

  constructor(guard: GuardClient | null, watchdog: WatchdogNeed, runningMs: () => number) {
    this.#guard = guard;
    this.#watchdog = watchdog;
    this.#runningMs = runningMs;
  }

  /** Twice a second is enough for the guard; changes are told at once. */
  pulse(): void {
    this.#pulses++;
    if (this.#pulses % 2 === 0) this.#guard?.beat(this.#order);
  }

  /** Takes over what a decision means for the server's life. */
  decided(observation: Observation, decision: Decision, processId: number | null, leaseTtlMs: number): void {
    const before = this.#order;
    const seen = {
      engine: observation.engine,
      authority: decision.authority,
      server: this.#nameOf(processId),
      now: observation.now,
      leaseTtlMs,
    };
    this.#order = killOrderFor(seen, before, isSameProcess);
    if (isToldAtOnce(before, this.#order, isSameProcess)) this.#guard?.beat(this.#order);
  }

  /**
   * Before a server is opened for writes: the guard must know when to close it.
   * @throws AgentError `GUARD_UNAVAILABLE`
   */
  async arm(observation: Observation, processId: number | null, leaseTtlMs: number): Promise<void> {
    if (this.#guard === null) return;
    if (this.#watchdog === 'required' && this.#guard.watchdog !== 'armed') {
      const text = `The configuration requires a watchdog, and it is not armed (guard: ${this.#guard.describe()}).`;
      throw new AgentError('GUARD_UNAVAILABLE', text, { next: 'See guard.log in the run directory.' });
    }
    const { authority, now } = observation;
    this.#order = orderBeforeOpening(this.#nameOf(processId), authority.leaseUntil, now, leaseTtlMs);
    await this.#guard.confirm(this.#order, CONFIRM_MS);
  }

  /** The server's process by its full name, looked up when its number changes, and now and then. */
  #nameOf(pid: number | null): ProcessName | null {
    if (pid === null) return null;
    const now = this.#runningMs();
    if (this.#server === null || this.#server.pid !== pid || now - this.#server.lookedAtMs > LOOK_AGAIN_MS) {
      this.#server = { name: processName(pid), pid, lookedAtMs: now };
    }
    return this.#server.name;
  }
}
