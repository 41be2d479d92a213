import type { PromiseVoid } from '@understudy/core';

/** What has been seen of the server since it started; forgotten when another process takes its place. */
export class RunFacts {
  #pid: number | null = null;
  /** `read`: the startup process has read the local log to its end, so received positions mean something (P7). */
  localLog: 'unread' | 'read' = 'unread';
  /** `armed`: the checkpointer has loaded a configuration in which commits wait for standbys. */
  waiting: 'unknown' | 'armed' = 'unknown';
  /** `once`: a connection succeeded in this run, so "starting up" is over. */
  answered: 'never' | 'once' = 'never';
  /** What of this server voids the promise; null: nobody has looked yet. */
  voids: readonly PromiseVoid[] | null = null;
  role: 'replica' | 'primary' | 'unknown' = 'unknown';
  /** `ending`: an ordered stop is under way; the server refuses connections, but it is what it was until it has gone. */
  life: 'serving' | 'ending' = 'serving';

  /** Forgets everything when `pid` is another server than before. */
  of(pid: number): this {
    if (this.#pid === pid) return this;
    this.#pid = pid;
    this.localLog = 'unread';
    this.waiting = 'unknown';
    this.answered = 'never';
    this.role = 'unknown';
    this.voids = null;
    this.life = 'serving';
    return this;
  }
}
