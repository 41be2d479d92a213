/**
 * How one operation ended (`docs/drill.md`). `ok`: acknowledged. `fail`: proven not to have happened. `info`: nobody can know
 * (the connection was lost, or the deadline passed, after it had been sent), so it may appear later or never.
 */
export type Outcome = 'ok' | 'fail' | 'info';

/** One insert of one unique id, as its client saw it. Times are of the drill's monotonic clock, in ms. */
export interface Op {
  readonly id: number;
  readonly writer: number;
  /** `network`: an application like any other. `local`: one on the node's own host, which no partition cuts off from its server. */
  readonly kind: 'network' | 'local';
  /** The node it was sent to. */
  readonly node: string;
  /** The history line that the server wrote it on, when it said so. */
  readonly timeline: number | null;
  readonly invokeMs: number;
  readonly completeMs: number;
  readonly outcome: Outcome;
  /** SQLSTATE or system code of what went wrong. */
  readonly problem: string | null;
}
