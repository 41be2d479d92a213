import type { Member } from '@understudy/core';
import type { Progress } from '@understudy/engine/host';
import type { Parameters } from '../config/file.ts';
import type { Settings } from '../config/settings.ts';
import type { Instance } from '../instance.ts';

/** What a copy needs of the server that it is made for. */
export type CopyHost = Pick<Instance, 'options' | 'paths' | 'owner' | 'programs' | 'config' | 'dialect'>;

/** One copy of a whole database from another member into a new folder. */
export interface CopyJob {
  readonly from: Pick<Member, 'id' | 'host' | 'port'>;
  /** Does not exist yet; lies beside the data directory. */
  readonly target: string;
  /** About what the source has on disk; null when it did not say. */
  readonly totalBytes: number | null;
  /** What the source was made with; nothing where that is not known. */
  readonly made?: Parameters;
  /** What the source has, and a server that receives its files must have as well. */
  readonly alike?: Settings;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}
