import { monotonicMs } from '@understudy/base';
import type { Silence } from './fault.ts';

/** When nobody could acknowledge: from now until {@link end}. In `async` durability nobody has to. */
export class SilenceWatch {
  readonly #durability: 'sync' | 'async';
  readonly #fromMs = monotonicMs();
  #toMs: number | null = null;

  constructor(durability: 'sync' | 'async') {
    this.#durability = durability;
  }

  end(): void {
    this.#toMs ??= monotonicMs();
  }

  /** Null while it lasts, and where it means nothing. */
  get span(): Silence | null {
    if (this.#durability === 'async' || this.#toMs === null) return null;
    return { fromMs: this.#fromMs, toMs: this.#toMs };
  }
}
