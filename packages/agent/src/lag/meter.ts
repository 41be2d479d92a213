/**
 * Replication lag in time, without writing to the database: samples of (leader's position, leader's clock) from its stream, against
 * the position that the replica has replayed.
 */

import { contains, type Position } from '@understudy/core';

interface Sample {
  readonly position: Position;
  /** The leader's monotonic clock, when it was last known to be at `position`. */
  atMs: number;
}

export interface Lag {
  readonly ms: number;
  /** `at-least`: the replica is further behind than the oldest sample that is kept. */
  readonly precision: 'exact' | 'at-least';
}

const MAX_SAMPLES = 512;

export class LagMeter {
  #samples: Sample[] = [];
  #source: string | null = null;
  /** Own running clock when the newest sample came. */
  #newestAtOwnMs = 0;

  /**
   * Takes a sample.
   * @param source who sent it: samples of another leader, or of another life of it, start anew (their clocks have nothing in common)
   * @param atMs the sender's monotonic clock
   * @param ownMs this process's running clock
   */
  sample(source: string, position: Position, atMs: number, ownMs: number): void {
    if (source !== this.#source) {
      this.#source = source;
      this.#samples = [];
    }
    this.#newestAtOwnMs = ownMs;
    const newest = this.#samples.at(-1);
    // An idle leader stays where it is: then the sample only gets younger.
    if (newest !== undefined && contains(newest.position, position)) newest.atMs = atMs;
    else this.#samples.push({ position, atMs });
    if (this.#samples.length > MAX_SAMPLES) this.#thin();
  }

  /** How old the newest of the leader's writes is that `replayed` holds: 0 when it holds all. Null without samples. */
  lag(replayed: Position, ownMs: number): Lag | null {
    const newest = this.#samples.at(-1);
    const oldest = this.#samples[0];
    if (newest === undefined || oldest === undefined) return null;
    if (contains(replayed, newest.position)) return { ms: 0, precision: 'exact' };
    const leaderNowMs = newest.atMs + Math.max(0, ownMs - this.#newestAtOwnMs);
    const reached = this.#samples.findLast((sample) => contains(replayed, sample.position));
    if (reached === undefined) return { ms: leaderNowMs - oldest.atMs, precision: 'at-least' };
    return { ms: leaderNowMs - reached.atMs, precision: 'exact' };
  }

  /** Drops every second sample of the older half: resolution falls with age, the span stays. */
  #thin(): void {
    const half = Math.floor(this.#samples.length / 2);
    this.#samples = this.#samples.filter((_, index) => index >= half || index % 2 === 0);
  }
}
