/** Commands that failed lately. */

import type { CommandFailure } from '@understudy/core';

/** A failure older than this is no reason to choose another way any more. */
const KEEP_MS = 10_000;
/** One that will not pass by itself soon is remembered twice as long each time that it comes again, up to this. */
const KEEP_MAX_MS = 300_000;
const MAX_KEPT = 32;

/** These pass when somebody is back, or has ended what he does; whatever else stands against a copy waits for a person. */
const passing = new Set([
  'ENGINE_UNREACHABLE',
  'ENGINE_BUSY',
  'ENGINE_LOGIN_FAILED',
  'ENGINE_TIMEOUT',
  'COMMAND_TIMEOUT',
]);

interface Kept {
  readonly command: string;
  readonly code: string;
  readonly message: string;
  readonly atMs: number;
  readonly keepMs: number;
}

export class Failures {
  #kept: Kept[] = [];
  /** By command and code. */
  readonly #last = new Map<string, { readonly atMs: number; readonly keepMs: number }>();

  add(command: string, code: string, message: string, nowMs: number): void {
    const kept = { command, code, message, atMs: nowMs, keepMs: this.#keepMs(command, code, nowMs) };
    this.#kept = [...this.#kept, kept].slice(-MAX_KEPT);
  }

  /** A copy makes its source work before it fails: it is tried again less and less often. */
  #keepMs(command: string, code: string, nowMs: number): number {
    if (command !== 'clone' || passing.has(code)) return KEEP_MS;
    const key = `${command} ${code}`;
    const last = this.#last.get(key);
    const again = last !== undefined && nowMs - last.atMs <= last.keepMs + KEEP_MAX_MS;
    const keepMs = again ? Math.min(2 * last.keepMs, KEEP_MAX_MS) : KEEP_MS;
    this.#last.set(key, { atMs: nowMs, keepMs });
    return keepMs;
  }

  /** Newest last. */
  recent(nowMs: number): readonly CommandFailure[] {
    this.#kept = this.#kept.filter(({ atMs, keepMs }) => nowMs - atMs <= keepMs);
    return this.#kept.map(({ command, code, message, atMs }) => ({ command, code, message, agoMs: nowMs - atMs }));
  }
}
