import { monotonicMs } from '@understudy/base';
import type { Log } from '@understudy/engine/host';

/** How long something that is over is still shown as a warning. */
const shownForMs = 10 * 60_000;
const keptMax = 20;

/** What somebody did to the server behind the agent's back, and what became of it: logged once, and shown in `status` for a while. */
export class Notices {
  readonly #log: Log;
  readonly #seen = new Map<string, number>();

  constructor(log: Log) {
    this.#log = log;
  }

  add(text: string): void {
    if (!this.#seen.has(text)) this.#log({ level: 'warn', message: text });
    this.#seen.delete(text);
    this.#seen.set(text, monotonicMs());
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size <= keptMax) break;
      this.#seen.delete(oldest);
    }
  }

  recent(): readonly string[] {
    const nowMs = monotonicMs();
    for (const [text, atMs] of this.#seen) if (nowMs - atMs > shownForMs) this.#seen.delete(text);
    return [...this.#seen.keys()];
  }
}
