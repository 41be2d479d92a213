import type { AckRule } from './ack-rule.ts';
import type { Epoch, MemberId, Ms, Revision } from './brand.ts';
import type { ClusterConfig } from './config.ts';
import type { Member } from './member.ts';
import type { ClusterIdentity, HistoryEntry, LeadershipRecord, OperatorRequest, Seal } from './record.ts';

export type StoreKey =
  | 'identity'
  | 'config'
  | 'record'
  | 'request'
  | 'paused'
  | `members/${MemberId}`
  | `sessions/${MemberId}`
  | `seals/${MemberId}`
  | `history/${Epoch}`
  | `outcomes/${string}`;

/** What must still be so when the transaction is applied. */
export interface Expectation {
  readonly key: StoreKey;
  readonly is: Revision | 'absent';
}

export type StorePut =
  | { readonly key: 'identity'; readonly value: ClusterIdentity }
  | { readonly key: 'config'; readonly value: ClusterConfig }
  | { readonly key: 'record'; readonly value: LeadershipRecord }
  | { readonly key: `members/${MemberId}`; readonly value: Member }
  | { readonly key: `seals/${MemberId}`; readonly value: Seal }
  | { readonly key: `history/${Epoch}`; readonly value: HistoryEntry }
  | { readonly key: `outcomes/${string}`; readonly value: RequestOutcome }
  | { readonly key: 'request'; readonly value: OperatorRequest }
  | { readonly key: 'request'; readonly value: 'delete' };

/** How an operator's request ended: never "unknown". */
export interface RequestOutcome {
  readonly id: string;
  readonly kind: OperatorRequest['kind'];
  readonly result: 'done' | 'refused' | 'failed';
  readonly reason: string;
  readonly wallMs: number;
}

/** One compare-and-swap. Never retried when its outcome is unknown: the store is read again and the decision made anew. */
export interface Commit {
  readonly kind: 'commit';
  readonly purpose: string;
  readonly expect: readonly Expectation[];
  readonly put: readonly StorePut[];
}

/**
 * What a starting server may do with the end of its own log, where its tables do not hold it yet: what a crash caught between the log
 * and the acknowledgement. `discard` is leave, not an order. It covers what this server wrote as the leader of an epoch before `before`,
 * and nothing else: never what it received since, as it may have acknowledged that. Whether it is so only the engine knows, and one
 * that has no such choice keeps everything.
 */
export type LogEnd = { readonly kind: 'keep' } | { readonly kind: 'discard'; readonly before: Epoch };

export const KEEP_END: LogEnd = { kind: 'keep' };

/** What the engine is told. Each is idempotent: running it twice, or not at all before a crash, is repaired by the next decision. */
export type EngineCommand =
  /** Make a new, empty database (long). */
  | { readonly kind: 'initialize' }
  /** Start fenced: read-only, as a replica without upstream (long while it recovers). */
  | { readonly kind: 'start'; readonly end: LogEnd }
  /** `handover`: in order, every connected member receives the end of the log first. `fence`: at once, whatever is lost was not acknowledged. `orderly`: clean, with its own deadline. */
  | { readonly kind: 'stop'; readonly mode: 'handover' | 'fence' | 'orderly' }
  /** Cut the receiver and prove that it is gone; stay cut across restarts until told to follow. */
  | { readonly kind: 'seal'; readonly epoch: Epoch }
  /** Receive from `upstream`: the leader of `epoch`, or a replica that is fed by it. */
  | { readonly kind: 'follow'; readonly upstream: MemberId; readonly epoch: Epoch }
  /** Make the running primary count acknowledgements by `rule`; proof and barrier appear in the engine's state. */
  | { readonly kind: 'set-ack-rule'; readonly rule: AckRule }
  /** Install `rule`, then open for writes on `timeline`. Refused after `notAfter`: the decision is stale then. */
  | {
      readonly kind: 'promote';
      readonly epoch: Epoch;
      readonly timeline: number;
      readonly rule: AckRule;
      readonly notAfter: Ms;
    }
  /** After promotion: users, checkpoint, whatever must be true of an open primary (long parts run as a job). */
  | { readonly kind: 'provision' }
  | { readonly kind: 'clone'; readonly from: MemberId }
  | { readonly kind: 'rewind'; readonly from: MemberId }
  | { readonly kind: 'checkpoint' }
  /** Stop in order and start, keeping everything. */
  | { readonly kind: 'restart' };

export type Command = Commit | EngineCommand;
