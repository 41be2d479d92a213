import { monotonicMs } from '@understudy/base';

/** A pause between two looks longer than this means that the observer itself stood still; it is not counted as silence. */
const observerPauseMs = 1000;

/** Measures for how long something has not changed, on this process's monotonic clock, without counting its own pauses. */
export class SilenceMeter<Key> {
  readonly #seen = new Map<Key, { signature: string; silentMs: number }>();
  #lastMs: number | null = null;
  #stepMs = 0;

  /** Begins one look; call it before `silentMs`. */
  look(nowMs: number = monotonicMs()): void {
    const passed = this.#lastMs === null ? 0 : nowMs - this.#lastMs;
    this.#stepMs = passed > observerPauseMs ? 0 : passed;
    this.#lastMs = nowMs;
  }

  /** For how long `signature` of `key` has been the same, as of this look. */
  silentMs(key: Key, signature: string): number {
    const before = this.#seen.get(key);
    const silentMs = before?.signature === signature ? before.silentMs + this.#stepMs : 0;
    this.#seen.set(key, { signature, silentMs });
    return Math.round(silentMs);
  }

  /** Forgets everything but these keys, so that the table stays as small as the cluster. */
  keep(keys: ReadonlySet<Key>): void {
    for (const key of this.#seen.keys()) if (!keys.has(key)) this.#seen.delete(key);
  }
}
