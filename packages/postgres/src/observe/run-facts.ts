import type { PromiseVoid } from '@understudy/core';
import { ServerFacts } from '@understudy/engine/host';

/** What has been seen of a PostgreSQL since it started. */
export class RunFacts extends ServerFacts {
  /** `read`: the startup process has read the local log to its end, so received positions mean something (P7). */
  localLog: 'unread' | 'read' = 'unread';
  /** `armed`: the checkpointer has loaded a configuration in which commits wait for standbys. */
  waiting: 'unknown' | 'armed' = 'unknown';
  /** What of this server voids the promise; null: nobody has looked yet. */
  voids: readonly PromiseVoid[] | null = null;

  protected override forget(): void {
    this.localLog = 'unread';
    this.waiting = 'unknown';
    this.voids = null;
  }
}
