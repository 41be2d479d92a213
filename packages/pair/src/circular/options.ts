import type { StartProgress } from '@understudy/local';
import type { PairEvent } from './pair-file.ts';

/** What the caller wants a pair to be. What is left out is taken from the folder, then from the defaults. */
export interface PairOptions {
  readonly name?: string;
  readonly folder?: string;
  readonly engine?: 'mysql' | 'mariadb';
  readonly version?: string;
  readonly binDir?: string;
  readonly writers?: 'one' | 'both';
  /** How often the two servers' tables are compared, default 30 s. */
  readonly checkEveryS?: number;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly onProgress?: (progress: StartProgress) => void;
  readonly onEvent?: (event: PairEvent) => void;
}
