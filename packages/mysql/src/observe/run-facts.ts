import type { GtidPosition, PromiseVoid } from '@understudy/core';

/** What has been seen of the server since it started; forgotten when another process takes its place. */
export class RunFacts {
  #pid: number | null = null;
  /** `once`: a connection succeeded in this run, so "starting up" is over. */
  answered: 'never' | 'once' = 'never';
  role: 'replica' | 'primary' | 'unknown' = 'unknown';
  /** `applied`: everything that was received before the start is among what the server says it holds. */
  received: 'applied' | 'unknown' = 'unknown';
  /** Why what it received before the start cannot be read: half a sentence; null when nothing is damaged. */
  damage: string | null = null;
  /** Of a server that does not sync what it receives: up to where that was done for it; null: nowhere in this run. */
  synced: GtidPosition | null = null;
  /** What of this server voids the promise, as of the last look. */
  voids: readonly PromiseVoid[] = [];
  /** `yes`: a promotion is under way, in the middle of which a server looks like one that somebody has begun to open. */
  opening: 'no' | 'yes' = 'no';
  /** `limited`: our accounts on this server have no more rights than this version gives them. */
  rights: 'unknown' | 'limited' = 'unknown';
  /** `ending`: an ordered stop is under way; the server refuses connections, but it is what it was until it has gone. */
  life: 'serving' | 'ending' = 'serving';

  /** Forgets everything when `pid` is another server than before. */
  of(pid: number): this {
    if (this.#pid === pid) return this;
    this.#pid = pid;
    this.answered = 'never';
    this.role = 'unknown';
    this.received = 'unknown';
    this.damage = null;
    this.synced = null;
    this.voids = [];
    this.rights = 'unknown';
    this.life = 'serving';
    this.opening = 'no';
    return this;
  }
}
