import { monotonicMs } from '@understudy/base';

/** They may begin to acknowledge later. */
const spareMs = 60_000;

/** `harmless`: without them as many acknowledge as with them. `stays`: they come back as fast as they are ended, and nothing keeps them out. */
export type SpareReason = 'harmless' | 'stays';

/** Accounts that receive the log of this server and are not ended again for a while, as it would change nothing. */
export class Spared {
  #pid: number | null = null;
  readonly #accounts = new Map<string, { readonly why: SpareReason; readonly sinceMs: number }>();

  note(pid: number, user: string, why: SpareReason, nowMs: number = monotonicMs()): void {
    if (this.#pid !== pid) this.#accounts.clear();
    this.#pid = pid;
    this.#accounts.set(user, { why, sinceMs: nowMs });
  }

  /** Null: nothing is known of it, or not any more. */
  why(pid: number, user: string, nowMs: number = monotonicMs()): SpareReason | null {
    const found = this.#pid === pid ? this.#accounts.get(user) : undefined;
    return found !== undefined && nowMs - found.sinceMs < spareMs ? found.why : null;
  }
}
