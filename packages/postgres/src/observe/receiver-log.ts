import { monotonicMs } from '@understudy/base';
import type { Receiver } from '@understudy/core';
import { entryAt, readEnd } from '@understudy/engine/host';

export type BrokenCause = Extract<Receiver, { kind: 'broken' }>['cause'];

/** What the receiver and the startup process write when a stream cannot be had, newest first match wins. */
const causes: readonly (readonly [RegExp, BrokenCause])[] = [
  [/requested WAL segment \S+ has already been removed/, 'wal-removed'],
  [/can no longer (get changes from|access) replication slot/, 'slot'],
  [/replication slot "[^"]*" does not exist|replication slot "[^"]*" is active/, 'slot'],
  [/requested starting point \S+ on timeline \d+ is not in this server's history/, 'history'],
  [/highest timeline \d+ of the primary is behind recovery timeline/, 'history'],
  [/new timeline \d+ forked off current database system timeline/, 'history'],
  [/database system identifier differs between the primary and standby/, 'history'],
  [/password authentication failed|no password supplied|no pg_hba.conf entry|certificate verify failed/, 'login'],
  // The other end is not who it should be: libpq went before it logged in.
  [
    /does not match host name|authentication method requirement|channel binding (is )?required|SSL was required/,
    'login',
  ],
  [/could not connect to the primary server|connection to server .* failed/, 'refused'],
];

const tailBytes = 16 * 1024;
const refreshMs = 500;
/** These cost a new copy of the database, and some of them are logged for a moment while a leader is opening: only lasting ones count. */
const grave: ReadonlySet<BrokenCause> = new Set(['wal-removed', 'history', 'slot']);
const graveAfterMs = 2000;

/** Finds in the server's log why its receiver has no stream. PostgreSQL tells it nowhere else. */
export class ReceiverLog {
  readonly #file: string;
  #from = 0;
  #cached: { readonly atMs: number; readonly cause: BrokenCause; readonly sinceMs: number } | null = null;

  constructor(file: string) {
    this.#file = file;
  }

  /** Forgets what was logged so far: it was about another upstream. */
  async restart(): Promise<void> {
    this.#from = await this.#size();
    this.#cached = null;
  }

  async #size(): Promise<number> {
    return (await entryAt(this.#file).catch(() => null))?.size ?? 0;
  }

  /** There is a stream again: what was logged before says nothing about the next break. */
  async healed(): Promise<void> {
    if (this.#cached !== null) await this.restart();
  }

  async cause(): Promise<BrokenCause> {
    const nowMs = monotonicMs();
    const before = this.#cached;
    if (before === null || nowMs - before.atMs >= refreshMs) {
      const cause = causeInLog(await this.#tail());
      this.#cached = { atMs: nowMs, cause, sinceMs: before?.cause === cause ? before.sinceMs : nowMs };
    }
    const found = this.#cached;
    if (found === null) return 'unknown';
    return grave.has(found.cause) && nowMs - found.sinceMs < graveAfterMs ? 'unknown' : found.cause;
  }

  async #tail(): Promise<string> {
    return readEnd(this.#file, tailBytes, this.#from).then(
      ({ text }) => text,
      () => '',
    );
  }
}

/** The cause that the newest telling line of a log names. */
export function causeInLog(text: string): BrokenCause {
  for (const line of text.split('\n').reverse()) {
    for (const [pattern, cause] of causes) if (pattern.test(line)) return cause;
  }
  return 'unknown';
}
