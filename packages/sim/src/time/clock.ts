import { type Ms, ms } from '@understudy/core';

/**
 * The clocks of one host. The monotonic one runs a little too fast or too slow; the wall clock also steps, by hours when an
 * operator or a broken time server wants it so. Nothing in the protocol may depend on the second.
 */
export class HostClock {
  /** Local milliseconds per true millisecond: 1.005 is a clock that gains half a percent. */
  readonly rate: number;
  readonly #origin: number;
  wallOffsetMs: number;

  constructor(rate: number, originMs: number, wallOffsetMs: number) {
    this.rate = rate;
    this.#origin = originMs;
    this.wallOffsetMs = wallOffsetMs;
  }

  /** What the monotonic clock shows at `trueMs`. */
  monotonic(trueMs: number): Ms {
    return ms(this.#origin + trueMs * this.rate);
  }

  /** When the monotonic clock will show `local`. */
  trueTime(local: number): number {
    return (local - this.#origin) / this.rate;
  }

  /** How long `localMs` of this clock really take. */
  trueDuration(localMs: number): number {
    return localMs / this.rate;
  }

  wall(trueMs: number): number {
    return Math.round(1_900_000_000_000 + trueMs + this.wallOffsetMs);
  }
}
