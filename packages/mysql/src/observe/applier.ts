import { monotonicMs } from '@understudy/base';
import type { Channel, ThreadError } from './channel.ts';

/** A stopped applier is started again every second and runs for a moment before it stops at the same place. */
const healedAfterMs = 2000;

/** Errors by which an applier says that it cannot read what was received. */
const damageNumbers = new Set([1594, 13121]);
/** It is tried again meanwhile: only damage that stays is worth a new copy. */
const damagedAfterMs = 3000;

/** What a person can do about the errors that are met most. */
const advice: readonly (readonly [ReadonlySet<number>, string])[] = [
  [
    new Set([1062, 1032, 1008, 1007, 1050, 1051, 1146, 1091]),
    "This member's data is not its leader's: `understudy reinit` makes a new copy and keeps this one aside.",
  ],
  [new Set([1205, 1213, 3058]), 'A session here holds a lock that the applier waits for: end that session.'],
  [new Set([1021, 1114, 3, 28, 1026]), 'Make room on the disk.'],
  [
    damageNumbers,
    'The relay log is damaged: this member is copied anew (with `rejoin: manual`, by `understudy reinit`).',
  ],
];
const otherAdvice = 'Remove the cause (it is tried again every second), or make a new copy with `understudy reinit`.';

export const adviceFor = (number: number): string =>
  advice.find(([numbers]) => numbers.has(number))?.[1] ?? otherAdvice;

/** The text of an error in one line of a bounded length. */
export const shortText = (text: string): string => text.replaceAll(/\s+/g, ' ').trim().slice(0, 400);

/** A replica's look at the thread that applies what was received: whether an error keeps it from going on. */
export class ApplierWatch {
  #error: ThreadError | null = null;
  #runningSinceMs: number | null = null;
  #damagedSinceMs: number | null = null;

  /** Why what was received cannot be read, half a sentence; null unless that has been so for a while. */
  damage(nowMs: number = monotonicMs()): string | null {
    if (this.#error === null || this.#damagedSinceMs === null || nowMs - this.#damagedSinceMs < damagedAfterMs)
      return null;
    return `error ${this.#error.number}: ${shortText(this.#error.text)}`;
  }

  /** The error that stopped it, until it has gone on for a while or has nothing left to apply. */
  get error(): ThreadError | null {
    return this.#error;
  }

  /** @param rest what is left to apply, as of this look. */
  look(channel: Channel | null, rest: 'nothing' | 'something', nowMs: number = monotonicMs()): ThreadError | null {
    if (channel === null) return this.#forget();
    if (channel.applierError !== null) {
      this.#runningSinceMs = null;
      this.#error = channel.applierError;
    } else if (channel.applier === 'running') {
      this.#runningSinceMs ??= nowMs;
      if (rest === 'nothing' || nowMs - this.#runningSinceMs >= healedAfterMs) this.#error = null;
    } else {
      this.#runningSinceMs = null;
    }
    this.#damagedSinceMs =
      this.#error !== null && damageNumbers.has(this.#error.number) ? (this.#damagedSinceMs ?? nowMs) : null;
    return this.#error;
  }

  #forget(): null {
    this.#error = null;
    this.#runningSinceMs = null;
    this.#damagedSinceMs = null;
    return null;
  }
}

/** The warning for people. */
export function applierWarning({ number, text }: ThreadError): string {
  return `Replication is stopped by error ${number}: ${shortText(text)}. ${adviceFor(number)}`;
}
