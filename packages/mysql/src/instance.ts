import type { EngineState, SystemId } from '@understudy/core';
import type { OpenCopy } from '@understudy/engine';
import type { KeptFolders, Log, Owner, ServerProcess, StartCount } from '@understudy/engine/host';
import type { OutgoingCopy } from './clone/outgoing.ts';
import type { Spared } from './commands/spared.ts';
import type { ManagedConfig } from './config/managed.ts';
import type { Dialect } from './dialect/dialect.ts';
import type { ExpectedData } from './disk/identity.ts';
import type { LineBook } from './lines.ts';
import type { AckTracker } from './observe/ack-tracker.ts';
import type { EmptiedMemory } from './observe/emptied.ts';
import type { ErrantFinds } from './observe/errant.ts';
import type { LagWatch } from './observe/lag.ts';
import type { Nudge } from './observe/nudge.ts';
import type { OpenedMemory } from './observe/opened.ts';
import type { OutsideChanges } from './observe/outside.ts';
import type { RunFacts } from './observe/run-facts.ts';
import type { TransactionSizes } from './observe/transaction-size.ts';
import type { UpstreamMemory } from './observe/upstream.ts';
import type { MysqlOptions } from './options.ts';
import type { Paths } from './paths.ts';
import type { ServerPrograms } from './programs.ts';
import type { LocalSql } from './sql/local.ts';
import type { LaterWork } from './tail/later.ts';

/** The parts of one engine, as its commands use them. */
export interface Instance {
  readonly options: MysqlOptions;
  readonly paths: Paths;
  readonly owner: Owner;
  readonly programs: ServerPrograms;
  readonly expected: ExpectedData;
  readonly process: ServerProcess;
  readonly sql: LocalSql;
  readonly config: ManagedConfig;
  readonly dialect: Dialect;
  readonly lines: LineBook;
  readonly sizes: TransactionSizes;
  readonly upstream: UpstreamMemory;
  readonly opened: OpenedMemory;
  readonly emptied: EmptiedMemory;
  readonly outside: OutsideChanges;
  readonly acks: AckTracker;
  readonly spared: Spared;
  readonly nudge: Nudge;
  readonly facts: RunFacts;
  readonly lag: LagWatch;
  readonly errant: ErrantFinds;
  readonly kept: KeptFolders;
  readonly starts: StartCount;
  readonly log: Log;
  /** How another member's files are got; null: not at all. */
  readonly openCopy: OpenCopy | null;
  readonly outgoing: OutgoingCopy;
  readonly tails: LaterWork;
  readonly clockMs: () => number;
  /** The cluster's id, from the data directory: a UUID in lower case. Throws when there is no data directory. */
  readonly systemId: () => Promise<SystemId>;
  /** The running replica as it was at the last look, which decisions are made on; null when it is none. */
  readonly seen: () => Extract<EngineState, { kind: 'replica' }> | null;
  /** The newest state, without waiting. */
  readonly observe: () => Promise<EngineState>;
}
