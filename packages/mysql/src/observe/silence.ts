import { monotonicMs } from '@understudy/engine/host';

/** A pause between two looks longer than this means that this process stood still; it is not counted as silence. */
const ownPauseMs = 1000;

/** Measures for how long something has shown no sign of life: its `sign` has stayed the same. Our own pauses do not count. */
export class SignOfLife {
  #sign: string | null = null;
  #lookedMs: number | null = null;
  #silentMs = 0;

  /** For how long `sign` has been the same, as of this look. */
  look(sign: string, nowMs = monotonicMs()): number {
    const passedMs = this.#lookedMs === null ? 0 : nowMs - this.#lookedMs;
    this.#lookedMs = nowMs;
    if (this.#sign !== sign) this.#silentMs = 0;
    else if (passedMs <= ownPauseMs) this.#silentMs += passedMs;
    this.#sign = sign;
    return Math.round(this.#silentMs);
  }

  reset(): void {
    this.#sign = null;
    this.#lookedMs = null;
    this.#silentMs = 0;
  }
}
