/** What agent and guard say to each other: lines of JSON on a unix socket. No imports beyond types: the guard loads this. */

import type { ProcessName } from '@understudy/base/processes';
import type { KillOrder } from '@understudy/core/guard';

/** What the guard is to enforce; times are of CLOCK_MONOTONIC. */
export type ServerKillOrder = KillOrder<ProcessName>;

export type ToGuard =
  /** First line of an agent. `restart`: whether the guard starts the agent again when it dies. */
  | { readonly kind: 'hello'; readonly agent: ProcessName; readonly restart: 'yes' | 'no' }
  /**
   * The agent lives: `server` is killed when `untilMs` has passed without another beat that moves it. With `ask` the guard answers.
   */
  | (ServerKillOrder & { readonly kind: 'beat'; readonly ask: number | null })
  /** The agent ends on purpose. `exit`: the guard ends too. `stay`: it keeps the last deadline and waits for the next agent. */
  | { readonly kind: 'bye'; readonly guard: 'exit' | 'stay' };

export type FromGuard =
  | { readonly kind: 'welcome'; readonly guard: number; readonly watchdog: 'off' | 'armed' | 'failed' }
  | { readonly kind: 'answer'; readonly to: number };

export function line(message: ToGuard | FromGuard): string {
  return `${JSON.stringify(message)}\n`;
}

/** Cuts a stream into lines. A line without end is given up at 64 KiB. */
export class Lines {
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(text: string): void {
    const parts = (this.#rest + text).split('\n');
    this.#rest = parts.pop() ?? '';
    if (this.#rest.length > 65_536) this.#rest = '';
    for (const part of parts) this.#onLine(part);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function processNameOf(value: unknown): ProcessName | null {
  if (!isObject(value)) return null;
  const { pid, startTicks } = value;
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 1) return null;
  return typeof startTicks === 'string' && /^\d+$/.test(startTicks) ? { pid, startTicks } : null;
}

const numberOrNull = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;

/** Null for anything that is not a message: both sides pass over it. */
export function parseToGuard(text: string): ToGuard | null {
  const value = parse(text);
  if (value === null) return null;
  if (value.kind === 'hello') {
    const agent = processNameOf(value.agent);
    return agent === null ? null : { kind: 'hello', agent, restart: value.restart === 'yes' ? 'yes' : 'no' };
  }
  if (value.kind === 'beat') {
    return {
      kind: 'beat',
      server: processNameOf(value.server),
      untilMs: numberOrNull(value.untilMs),
      certainty: value.certainty === 'undecided' ? 'undecided' : 'decided',
      ask: numberOrNull(value.ask),
    };
  }
  return value.kind === 'bye' ? { kind: 'bye', guard: value.guard === 'exit' ? 'exit' : 'stay' } : null;
}

export function parseFromGuard(text: string): FromGuard | null {
  const value = parse(text);
  if (value === null) return null;
  if (value.kind === 'answer' && typeof value.to === 'number') return { kind: 'answer', to: value.to };
  if (value.kind === 'welcome' && typeof value.guard === 'number') {
    const watchdog = value.watchdog === 'armed' || value.watchdog === 'failed' ? value.watchdog : 'off';
    return { kind: 'welcome', guard: value.guard, watchdog };
  }
  return null;
}
