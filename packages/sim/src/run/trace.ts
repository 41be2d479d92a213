/** One line of what happened. */
export interface TraceLine {
  readonly atMs: number;
  /** Which member; null for the store, the network and the operator. */
  readonly who: string;
  readonly what: string;
}

/** Collects what happened. When off, nothing is formatted: callers ask `on` before they build a text. */
export class Trace {
  readonly on: boolean;
  readonly lines: TraceLine[] = [];
  readonly #now: () => number;
  readonly #limit: number;

  constructor(on: boolean, now: () => number, limit = 200_000) {
    this.on = on;
    this.#now = now;
    this.#limit = limit;
  }

  note(who: string, what: string): void {
    if (!this.on || this.lines.length >= this.#limit) return;
    this.lines.push({ atMs: this.#now(), who, what });
  }
}

export function formatLine(line: TraceLine): string {
  return `${(line.atMs / 1000).toFixed(3).padStart(9)}  ${line.who.padEnd(6)} ${line.what}`;
}
