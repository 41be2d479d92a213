/** How many refused requests of each caller are written down. Pure: no clock. */

const AT_ONCE = 20;
const PER_MINUTE = 6;
const MAX_CALLERS = 256;

export type Refusal =
  /** `skipped`: how many of the same caller were left out since its last line. */
  { readonly kind: 'recorded'; readonly skipped: number } | { readonly kind: 'counted' };

/** Refused requests change nothing, and cost their sender nothing: a caller gets so many lines, and the rest are counted. */
export class Refusals {
  readonly #of = new Map<string, { lines: number; atMs: number; skipped: number }>();

  /** @param caller who asked, and from which address; @param nowMs monotonic */
  note(caller: string, nowMs: number): Refusal {
    const before = this.#of.get(caller) ?? { lines: 0, atMs: nowMs, skipped: 0 };
    const lines = Math.max(0, before.lines - ((nowMs - before.atMs) / 60_000) * PER_MINUTE);
    const isRecorded = lines + 1 <= AT_ONCE;
    this.#of.delete(caller);
    this.#of.set(caller, {
      lines: isRecorded ? lines + 1 : lines,
      atMs: nowMs,
      skipped: isRecorded ? 0 : before.skipped + 1,
    });
    if (this.#of.size > MAX_CALLERS) this.#forgetOldest();
    return isRecorded ? { kind: 'recorded', skipped: before.skipped } : { kind: 'counted' };
  }

  #forgetOldest(): void {
    const [oldest] = this.#of.keys();
    if (oldest !== undefined) this.#of.delete(oldest);
  }
}
