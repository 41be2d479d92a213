import type { MemberId } from '@understudy/core';
import type { Engine } from '../../src/index.ts';

/** How a write ended, as its client may conclude: `unknown` when the answer was lost or the wait for replicas was broken off. */
export type WriteOutcome = 'acknowledged' | 'refused' | 'unknown';

/** A client of one server, as an application has it: over the network, with the rights of an application. */
export interface ConformanceClient {
  /** Adds one number to the suite's table, and waits for the answer for at most `timeoutMs`. */
  write(value: number, timeoutMs?: number): Promise<WriteOutcome>;
  /** The numbers in the suite's table, in ascending order. */
  read(): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** A way to spoil a stopped node's data directory. */
export type Damage = 'other-cluster' | 'other-version' | 'not-a-database' | 'control-data' | 'half-copied';

/** One member: an engine, and what only a test may do to its server. */
export interface ConformanceNode {
  readonly id: MemberId;
  readonly host: string;
  readonly port: number;
  /** The engine in use: replaced by `reopen`. */
  engine(): Engine;
  /** Drops the engine as a crashed agent would, leaving the server running, and makes another one over the same directories. */
  reopen(): Promise<Engine>;
  connect(): Promise<ConformanceClient>;
  /** The server's main process. */
  kill(): Promise<void>;
  freeze(): Promise<void>;
  damage(how: Damage): Promise<void>;
  /** Names of what was put beside the data directory instead of being deleted. */
  keptAside(): Promise<readonly string[]>;
}

export interface ConformanceCluster {
  readonly nodes: readonly ConformanceNode[];
  /** Makes the suite's table, on the open leader. */
  createTable(leader: ConformanceNode): Promise<void>;
  /** Ends every process and removes every file; also after a failure. */
  destroy(): Promise<void>;
}

/** What an engine brings to the suite. */
export interface ConformanceHarness {
  /** For the titles of the tests, with version. */
  readonly name: string;
  /** The kinds of damage that this engine's data can have. */
  readonly damages: readonly Damage[];
  /** Nodes without data, whose servers do not run. */
  makeCluster(nodes: number): Promise<ConformanceCluster>;
}
