import type { Member } from '@understudy/core';
import type { Progress } from '../jobs.ts';

/** One copy of a whole database from another member into a new folder. */
export interface CopyJob {
  readonly from: Member;
  /** Does not exist yet; lies beside the data directory. */
  readonly target: string;
  /** About what the source has on disk; null when it did not say. */
  readonly totalBytes: number | null;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}
