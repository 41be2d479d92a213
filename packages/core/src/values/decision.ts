import type { Position } from '../position/position.ts';
import type { AckRule } from './ack-rule.ts';
import type { Epoch, MemberId, Ms, Revision } from './brand.ts';
import type { Command } from './command.ts';
import type { Reason } from './reason.ts';

/** How far an agent has come with an operator's request: nothing done yet; a switchover's checkpoint, its stop; a restart. */
export type RequestStep = 'seen' | 'checkpoint' | 'stop' | 'restarting';

/**
 * What an agent remembers from one decision to the next. Lost in a crash without harm: everything that safety rests on is in the
 * store, in the server or in the observation.
 */
export interface Memory {
  /** Since when each acker of the current rule has been away, for `ackerGoneMs`. */
  readonly ackersGoneSince: ReadonlyMap<MemberId, Ms>;
  /** Since when each acker of the current rule could not have taken part in an election, though its stream goes on. */
  readonly ackersUnfitSince: ReadonlyMap<MemberId, Ms>;
  /** The last commit by which this agent tried to end a change of the ack rule: the record's revision then, and the rule. */
  readonly finishing: { readonly revision: Revision; readonly rule: AckRule } | null;
  /** When enough ackers were last heard, by the rule that an election of that epoch would have had to stop. */
  readonly ackEvidence: { readonly epoch: Epoch; readonly rule: AckRule; readonly at: Ms } | null;
  /** When the present lack of ackers began, for `degradeAfterMs`. */
  readonly shortSince: Ms | null;
  /** The election under way: since when this agent has seen a sufficient proof for this epoch. */
  readonly election: { readonly epoch: Epoch; readonly since: Ms } | null;
  /** When this agent sealed, for the decision to give up. */
  readonly sealedSince: { readonly epoch: Epoch; readonly since: Ms } | null;
  /**
   * The last seal that this agent tried to publish, and what was under its key when it did. As long as the store shows no change there,
   * that write may still arrive: this node neither connects nor opens in that epoch before it has taken the attempt back.
   */
  readonly sealAttempt: { readonly epoch: Epoch; readonly basis: Revision | 'absent' } | null;
  /** The epoch of this node's own unfinished promotion for which its server was since seen stopped: no order to open is under way any more. */
  readonly promotionEnded: Epoch | null;
  /** Since when this node's own promotion of an epoch has been under way. */
  readonly promotingSince: { readonly epoch: Epoch; readonly since: Ms } | null;
  /** The epoch in which this leader was told to stop, so that another one takes over. */
  readonly handingOver: Epoch | null;
  /** This node's own promotion that failed, and why: it is not ordered again, however long the server takes to come back. */
  readonly promotionFailed: { readonly epoch: Epoch; readonly why: string } | null;
  /** When the leader's own server went away, for a restart in place. */
  readonly downSince: Ms | null;
  /** Progress of an operator's request that this agent carries out. */
  readonly request: { readonly id: string; readonly since: Ms; readonly step: RequestStep } | null;
  /** How far this leader has come with handing over, after it was told to end. */
  readonly leaving: { readonly since: Ms; readonly step: 'checkpoint' | 'stop' | 'stopped' } | null;
  /** Since when the recorded leader of this epoch has reported a server that is not open. */
  readonly leaderNotOpenSince: { readonly epoch: Epoch; readonly since: Ms } | null;
  /** Newest position of the leader that this agent has seen, for the loss bound of `async`. */
  readonly leaderPosition: Position | null;
  /**
   * The way to another upstream than the leader. `trying`: since when this node has been on it. `given-up`:
   * since when it has stayed with the leader because it came to nothing.
   */
  readonly cascade: { readonly upstream: MemberId; readonly state: 'trying' | 'given-up'; readonly since: Ms } | null;
  /** Since when the open leader has refused this node's stream for its history, although its positions say otherwise. */
  readonly refusedSince: { readonly epoch: Epoch; readonly since: Ms } | null;
  /** Since when this node's server is stopped in an epoch that another node leads. */
  readonly stoppedSince: { readonly epoch: Epoch; readonly since: Ms } | null;
  /** An epoch for which rewinding failed here: copy instead. */
  readonly rewindFailed: Epoch | null;
  /** Since when this node leads its epoch. */
  readonly ledSince: { readonly epoch: Epoch; readonly since: Ms } | null;
  /** Since when it has led with enough who acknowledge. */
  readonly calmSince: Ms | null;
  /** The epoch that this node gave up because nobody could replicate from it. */
  readonly yielded: Epoch | null;
}

export const EMPTY_MEMORY: Memory = {
  ackersGoneSince: new Map(),
  ackersUnfitSince: new Map(),
  finishing: null,
  ackEvidence: null,
  shortSince: null,
  election: null,
  sealedSince: null,
  sealAttempt: null,
  promotionEnded: null,
  promotingSince: null,
  handingOver: null,
  promotionFailed: null,
  downSince: null,
  request: null,
  leaving: null,
  leaderNotOpenSince: null,
  leaderPosition: null,
  cascade: null,
  refusedSince: null,
  stoppedSince: null,
  rewindFailed: null,
  ledSince: null,
  calmSince: null,
  yielded: null,
};

/** How long the server may go on as a primary if its agent says nothing more; the guard enforces it. */
export type Authority = { readonly kind: 'none' } | { readonly kind: 'primary'; readonly until: Ms };

export interface Decision {
  readonly memory: Memory;
  /** In order. The shell stops at the first that fails and observes anew. */
  readonly commands: readonly Command[];
  /** First the one that explains the commands (or why there are none). */
  readonly reasons: readonly Reason[];
  /** Published to the peers: the epoch whose leader this agent takes for dead. */
  readonly suspects: Epoch | null;
  readonly authority: Authority;
}
