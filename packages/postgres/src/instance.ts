import type { EngineState } from '@understudy/core';
import type { KeptFolders, Log, Owner, ServerProcess, StartCount } from '@understudy/engine/host';
import type { ManagedConfig } from './config/managed.ts';
import type { ExpectedData } from './disk/identity.ts';
import type { AckTracker } from './observe/ack-tracker.ts';
import type { Notices } from './observe/notices.ts';
import type { RunFacts } from './observe/run-facts.ts';
import type { PostgresOptions } from './options.ts';
import type { Paths } from './paths.ts';
import type { LocalSql } from './sql/local.ts';

/** The parts of one engine, as its commands use them. */
export interface Instance {
  readonly options: PostgresOptions;
  readonly paths: Paths;
  readonly owner: Owner;
  /** Of the programs in `binDir`. */
  readonly expected: ExpectedData;
  readonly version: string;
  readonly postmaster: ServerProcess;
  readonly sql: LocalSql;
  readonly config: ManagedConfig;
  readonly facts: RunFacts;
  readonly acks: AckTracker;
  /** What was seen lately that an operator must know of, although it is over. */
  readonly notices: Notices;
  /** Names of the slots that belong to members, or did when this agent last saw them. */
  readonly memberSlots: Set<string>;
  readonly kept: KeptFolders;
  readonly starts: StartCount;
  readonly log: Log;
  readonly clockMs: () => number;
  /** The newest state, without waiting. */
  readonly observe: () => Promise<EngineState>;
}
