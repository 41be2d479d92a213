import { monotonicMs } from '@understudy/base';
import type { Log } from '@understudy/engine/host';

/** How long people are told of what was changed back: longer than it takes to look at a terminal. */
const keptMs = 10 * 60_000;
const changesMax = 20;

export const pauseAdvice =
  'Use `understudy switchover` to move the leader; `understudy pause` keeps the others from taking over while you work on a server.';

/** What somebody changed on this server behind its agent's back, for people: each change is told for a while, also when it is undone. */
export class OutsideChanges {
  readonly #log: Log;
  readonly #seen = new Map<string, { readonly text: string; readonly atMs: number }>();

  constructor(log: Log) {
    this.#log = log;
  }

  note(key: string, text: string, nowMs: number = monotonicMs()): void {
    const known = this.#seen.get(key);
    if (known === undefined || nowMs - known.atMs > keptMs) this.#log({ level: 'warn', message: text });
    this.#seen.delete(key);
    this.#seen.set(key, { text, atMs: nowMs });
    if (this.#seen.size > changesMax) this.#seen.delete(this.#seen.keys().next().value ?? key);
  }

  warnings(nowMs: number = monotonicMs()): readonly string[] {
    for (const [key, { atMs }] of this.#seen) if (nowMs - atMs > keptMs) this.#seen.delete(key);
    return [...this.#seen.values()].map(({ text }) => text);
  }
}
