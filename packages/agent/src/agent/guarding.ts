/** What this agent has its guard enforce: after every decision, before every promotion, and with every second pulse. */

import type { Decision, Observation } from '@understudy/core';
import { AgentError } from '../errors.ts';
import { type GuardClient, NO_CHARGE } from '../guard/client.ts';
import { type ProcessName, processName } from '../guard/proc.ts';
import type { Charge } from '../guard/protocol.ts';
import { chargeFor } from '../loop/charge.ts';

const CONFIRM_MS = 2_000;
/** A process number belongs to another process at the earliest after this long, more or less. */
const LOOK_AGAIN_MS = 1_000;

/** Whether a server may be opened for writes without the kernel's watchdog. */
export type WatchdogNeed = 'required' | 'automatic';

export class Guarding {
  readonly #guard: GuardClient | null;
  readonly #runningMs: () => number;
  readonly #watchdog: WatchdogNeed;
  #charge: Charge = NO_CHARGE;
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
    if (this.#pulses % 2 === 0) this.#guard?.beat(this.#charge);
  }

  /** Takes over what a decision means for the server's life. */
  decided(observation: Observation, decision: Decision, processId: number | null, leaseTtlMs: number): void {
    const before = this.#charge;
    const server = this.#nameOf(processId);
    this.#charge = chargeFor(observation.engine, decision.authority, server, before, observation.now, leaseTtlMs);
    const isOther = this.#charge.server?.pid !== before.server?.pid;
    const isOtherKind = (this.#charge.untilMs === null) !== (before.untilMs === null);
    const isNowDecided = this.#charge.certainty !== before.certainty;
    if (isOther || isOtherKind || isNowDecided) this.#guard?.beat(this.#charge);
  }

  /**
   * Before a server is opened for writes: the guard must know when to close it.
   * @throws AgentError `GUARD_UNAVAILABLE`
   */
  async arm(observation: Observation, processId: number | null, leaseTtlMs: number): Promise<void> {
    if (this.#guard === null) return;
    if (this.#watchdog === 'required' && this.#guard.watchdog !== 'armed') {
      const text = `The configuration requires a watchdog, and it is not armed (guard: ${this.#guard.describe()}). See guard.log in the run directory.`;
      throw new AgentError('GUARD_UNAVAILABLE', 'safe', text);
    }
    const untilMs = observation.authority.leaseUntil ?? observation.now + leaseTtlMs;
    this.#charge = { server: this.#nameOf(processId), untilMs, certainty: 'decided' };
    await this.#guard.confirm(this.#charge, CONFIRM_MS);
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
