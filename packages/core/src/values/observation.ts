import type { Position } from '../position/position.ts';
import type { Epoch, Incarnation, MemberId, Ms, Revision } from './brand.ts';
import type { ClusterConfig } from './config.ts';
import type { EngineJob, EngineState } from './engine-state.ts';
import type { Member, MemberTags } from './member.ts';
import type { ClusterIdentity, LeadershipRecord, OperatorRequest, Seal, StoreSighting } from './record.ts';

/** A value of the store with the revision it was read at. */
export interface Versioned<T> {
  readonly value: T;
  readonly revision: Revision;
}

/** Everything the store held at one instant. */
export interface StoreContent {
  readonly identity: Versioned<ClusterIdentity> | null;
  readonly config: Versioned<ClusterConfig> | null;
  readonly record: Versioned<LeadershipRecord> | null;
  readonly members: ReadonlyMap<MemberId, Member>;
  /** Present while that member's agent keeps its lease. */
  readonly sessions: ReadonlyMap<MemberId, Versioned<Incarnation>>;
  readonly seals: ReadonlyMap<MemberId, Versioned<Seal>>;
  readonly request: Versioned<OperatorRequest> | null;
  readonly paused: boolean;
  /** Which store this is. Absent where nothing compares stores. */
  readonly storeId?: string | undefined;
}

/** `current`: as fresh as the watch makes it. `stale`: the store has not answered for `silentMs`; the content is the last known. */
export type StoreView =
  /** `problem`: it answers, and is not believed. */
  | { readonly kind: 'never'; readonly problem?: string | undefined }
  /** `refusesWrites`: it answers reads, and why it refused the last write. */
  | { readonly kind: 'current'; readonly content: StoreContent; readonly refusesWrites?: string | undefined }
  | { readonly kind: 'stale'; readonly content: StoreContent; readonly silentMs: number };

/** What an agent tells the others, several times a second. */
export interface LiveState {
  readonly member: MemberId;
  readonly incarnation: Incarnation;
  /** Newest epoch this agent has seen. */
  readonly epoch: Epoch | null;
  readonly engine: EngineState;
  /** The epoch whose leader it takes for dead; null when it does not. */
  readonly suspects: Epoch | null;
  /** Its agent was told to end, and its server with it: it takes nothing on any more. */
  readonly leaving?: 'yes';
  /** The leader's position as this member last saw it, for the loss bound of `async`. */
  readonly leaderPosition: Position | null;
  /** The newest leadership that it has seen, also when it does not believe the store now. */
  readonly seen?: StoreSighting | undefined;
}

/** One peer, seen from here. Silences count only the time in which this agent itself was running. */
export type PeerView =
  | { readonly kind: 'fresh'; readonly live: LiveState; readonly silentMs: number }
  | { readonly kind: 'silent'; readonly last: LiveState | null; readonly silentMs: number }
  /** Its address actively refuses connections (the process is gone, the host is there). */
  | { readonly kind: 'refusing'; readonly last: LiveState | null; readonly forMs: number };

/** How long this agent may let its primary accept writes and reads. */
export interface AuthorityEvidence {
  /** Own session lease: valid until this instant, counted from when the renewal was sent. Null: not held. */
  readonly leaseUntil: Ms | null;
}

/** Everything that one decision looks at. */
export interface Observation {
  readonly now: Ms;
  /** Only for scheduled requests and history entries, never for safety. */
  readonly wallMs: number;
  readonly self: MemberId;
  readonly incarnation: Incarnation;
  /** This agent was told to end, and its server with it. */
  readonly leaving?: 'yes';
  readonly tags: MemberTags;
  readonly engineName: string;
  readonly store: StoreView;
  readonly engine: EngineState;
  readonly job: EngineJob | null;
  /** Whether this engine can turn a diverged copy back without a full copy (PostgreSQL: pg_rewind of the same version). */
  readonly canRewind: 'yes' | 'no';
  readonly peers: ReadonlyMap<MemberId, PeerView>;
  readonly authority: AuthorityEvidence;
  /** Why no further copy is made by itself here, in sentences: what is kept of replaced data exceeds its budget. */
  readonly copiesHeld?: string | undefined;
  /** Commands that failed lately, newest last, so that a decision can choose another way. */
  readonly failures: readonly CommandFailure[];
  /** What stands, synced, in this node's data directory. Null: nothing. Absent: it was not looked at. */
  readonly noted?: StoreSighting | null | undefined;
}

export interface CommandFailure {
  readonly command: string;
  readonly agoMs: number;
  readonly code: string;
  readonly message: string;
}
