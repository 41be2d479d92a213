import type { GtidPosition, PromiseVoid } from '@understudy/core';
import { ServerFacts } from '@understudy/engine/host';

/** What has been seen of a MySQL or MariaDB since it started. */
export class RunFacts extends ServerFacts {
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

  protected override forget(): void {
    this.received = 'unknown';
    this.damage = null;
    this.synced = null;
    this.voids = [];
    this.opening = 'no';
    this.rights = 'unknown';
  }
}
