import type { Position } from '../position/position.ts';
import { type AckRule, hasSealQuorum, weakestMixture } from './ack-rule.ts';
import type { Epoch, Incarnation, MemberId, Revision, SystemId } from './brand.ts';

/**
 * `promoting`: the leader is chosen but has not opened for writes. `open`: it has, on the history in `opened`.
 */
export type LeadershipPhase = 'promoting' | 'open';

/**
 * The one leadership record of a cluster, changed only by compare-and-swap (`docs/protocol.md`).
 * During a change of ackers it carries both rules: an election must then stop any mixture of them.
 */
export interface LeadershipRecord {
  readonly epoch: Epoch;
  readonly leader: MemberId;
  readonly incarnation: Incarnation;
  readonly phase: LeadershipPhase;
  /** Number of the timeline that this leadership writes, allocated here so that no two promotions ever share one. */
  readonly timeline: number;
  readonly rule: AckRule;
  /**
   * The rule being changed to. Acks may be counted by any mixture of both: members of either rule, the smaller number of acks.
   * An election has to stop the weakest mixture (`ruleToStop`), not each rule by itself.
   */
  readonly nextRule: AckRule | null;
  /** What the leader held when it was chosen. Null for the first leader of a new cluster. */
  readonly chosenAt: Position | null;
  /** Its position when it opened, with the history that leads there. */
  readonly opened: Position | null;
  readonly durability: Durability;
  /** Where `async` began: every later leader must hold it, as everything before it was acknowledged in `sync`. Absent: nowhere in this epoch. */
  readonly floor?: Position | undefined;
  /** Why this leadership began: a reason code. */
  readonly cause: string;
  /** The newest epoch that began on an operator's word instead of a proof: it need not be built on what was before. Absent: none. */
  readonly overrode?: Epoch | undefined;
  /** How often of late a leader was replaced that was not lost, or that nobody could replicate from; absent: never. Makes suspicion slower. */
  readonly unrest?: number | undefined;
  /** The process that led before, if it was given up because nothing was heard of it, and while that may still turn out to be wrong. */
  readonly lostBySilence?: Incarnation | undefined;
}

/** Whether nobody can be acknowledged any more under `record` once `sealed` have stopped, and every acknowledged write is on one of them. */
export function sealsSuffice(record: LeadershipRecord, sealed: ReadonlySet<MemberId>): boolean {
  return hasSealQuorum(ruleToStop(record), sealed);
}

/** What an election has to stop: the recorded rule; during a change the weakest mixture of both. */
export function ruleToStop(record: LeadershipRecord): AckRule {
  return record.nextRule === null ? record.rule : weakestMixture(record.rule, record.nextRule);
}

export type Durability = 'sync' | 'async';

/** Written once, by the member that initialises the cluster. */
export interface ClusterIdentity {
  /** `claimed`: a member is initialising a server. `founded`: the system identifier is known. */
  readonly state: 'claimed' | 'founded';
  readonly by: MemberId;
  readonly incarnation: Incarnation;
  readonly systemId: SystemId | null;
  readonly engine: string;
}

/**
 * Proof that a member has stopped acknowledging for an epoch, with everything it holds. Epoch 0 says that an earlier seal was given
 * back. It is not deleted for that: a delayed write of a seal, which expects what was there before, must find something else.
 */
export interface Seal {
  readonly epoch: Epoch;
  readonly incarnation: Incarnation;
  readonly position: Position;
  /** Of a leader that was told to end: the others take over as planned. */
  readonly planned?: 'yes';
  /** The newest leadership that this member had seen. Absent in what agents wrote before there were notes. */
  readonly seen?: StoreSighting | undefined;
}

/** The newest leadership that somebody has seen, and at which revision of which store. */
export interface StoreSighting {
  readonly storeId: string;
  readonly epoch: Epoch;
  readonly revision: Revision;
  readonly leader: MemberId;
}

/**
 * What an operator asked for. One at a time. `askedWallMs`: when, by the clock of the agent that took it; what is much older than its
 * own time is not begun any more, whoever comes back.
 */
export type OperatorRequest = { readonly askedWallMs?: number | undefined } & AskedFor;

type AskedFor =
  | {
      readonly kind: 'switchover';
      readonly id: string;
      readonly from: MemberId | null;
      readonly to: MemberId | null;
      /** Wall-clock time before which it must not start, in ms since 1970, by the leader's clock; it writes null when that has come. Null: now. */
      readonly notBeforeWallMs: number | null;
      readonly timeoutMs: number;
    }
  | {
      readonly kind: 'failover';
      readonly id: string;
      readonly to: MemberId;
      /** `quorum`: seal as usual, only without waiting for suspicion. `override`: the operator accepts the loss that was named. */
      readonly proof: 'quorum' | 'override';
      readonly timeoutMs: number;
    }
  | {
      readonly kind: 'reinit';
      readonly id: string;
      readonly member: MemberId;
      readonly timeoutMs?: number | undefined;
    }
  | {
      readonly kind: 'restart';
      readonly id: string;
      readonly member: MemberId;
      readonly timeoutMs?: number | undefined;
      /** Also when commits would wait for this member meanwhile. */
      readonly force?: 'yes' | undefined;
      /** By which agent it was begun, and what the server has to do again before it counts as done. */
      readonly begun?: { readonly by: Incarnation; readonly until: 'runs' | 'streams' | 'counts' } | undefined;
    };

/** One line of the cluster's history. */
export interface HistoryEntry {
  readonly epoch: Epoch;
  readonly leader: MemberId;
  readonly timeline: number;
  readonly cause: string;
  readonly chosenAt: Position | null;
  readonly wallMs: number;
}
