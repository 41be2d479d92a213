import type { GtidSet } from '@understudy/core';
import type { ThreadError } from '@understudy/mysql/parts';
import type { SideName } from './sides.ts';

/** `one`: the active server takes writes, the other is closed. `both`: on explicit request, with everything that offsets do not protect. */
export type Writers = 'one' | 'both';

/** A server that holds transactions which the active one went on without. It follows nobody until somebody has decided about them. */
export interface Apart {
  readonly side: SideName;
  /** The transactions, as text. */
  readonly transactions: string;
  readonly count: number;
  /** File with the transactions' rows; null while it has not been written. */
  readonly artifact: string | null;
  /** The first rows of them, for people. */
  readonly rows: readonly LateRow[];
  readonly sinceMs: number;
}

/** A row change that only one server has. */
export interface LateRow {
  readonly side: SideName;
  readonly what: string;
  readonly row: Readonly<Record<string, string | null>> | null;
}

/** What a pair remembers from one run to the next, and decides by. */
export interface Memory {
  readonly active: SideName;
  readonly writers: Writers;
  readonly apart: Apart | null;
  /** A server that died as the active one, until it was compared with its successor: what it holds alone is not known yet. */
  readonly uncompared: SideName | null;
}

/** How one server receives from the other. */
export interface LinkView {
  readonly receiver: 'running' | 'connecting' | 'stopped';
  readonly applier: 'running' | 'stopped';
  readonly receiverError: ThreadError | null;
  readonly applierError: ThreadError | null;
}

/** What a server that answers says. */
export interface ServerView {
  readonly fence: 'open' | 'closed';
  readonly executed: GtidSet;
  /** Executed, or received and not yet executed. */
  readonly received: GtidSet;
  /** Null: it has never been told to receive from the other. */
  readonly link: LinkView | null;
}

/** One server as its supervisor sees it. */
export interface SideView {
  readonly process: 'running' | 'gone';
  /** `starting`: it has not answered in this run yet, and may be recovering. */
  readonly life: 'starting' | 'serving';
  /** Null: it did not answer this time. */
  readonly server: ServerView | null;
  /** How long it has not answered, while its process runs; 0 when it does. */
  readonly silentMs: number;
}
