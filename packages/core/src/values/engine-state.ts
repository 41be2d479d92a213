import type { Position } from '../position/position.ts';
import type { AckRule } from './ack-rule.ts';
import type { MemberId, SystemId } from './brand.ts';

/** The stream by which a replica receives its leader's log. */
export type Receiver =
  | { readonly kind: 'none' }
  /**
   * Configured, but no stream: `cause` says what the server reported last, when it did. `wal-removed` needs a new copy; so does `damaged`:
   * what was received lies here and cannot be read, whether or not more arrives.
   */
  | {
      readonly kind: 'broken';
      readonly cause: 'unknown' | 'refused' | 'wal-removed' | 'history' | 'damaged' | 'slot' | 'login';
      /** What the engine knows beyond the cause: a sentence for people. */
      readonly detail?: string | undefined;
    }
  /** `silentMs`: how long nothing has arrived, counted only while the observer itself was running. */
  | { readonly kind: 'streaming'; readonly silentMs: number };

/** How far one replica has confirmed, as its leader sees it. */
export interface ReplicaProgress {
  readonly member: MemberId;
  readonly kind: 'catching-up' | 'streaming';
  /** Durable on the replica (what an ack stands for), on the leader's history. */
  readonly confirmed: Position;
  /** How long this replica has not answered at all. */
  readonly silentMs: number;
}

/** What the leader's server does with acknowledgements right now. */
export interface AckState {
  /** The rule that every part of the running server is proven to use; null while that is not proven. */
  readonly running: AckRule | null;
  /** A log position written after `running` was proven: what is confirmed at or beyond it was counted by `running` alone. */
  readonly barrier: Position | null;
  /** Why `running` is null, when the server itself says why: a sentence for people, such as who else can acknowledge here. */
  readonly unproven?: string | undefined;
}

/**
 * A setting, role, database, session default or plugin of one server that voids the promise, whatever the cluster's configuration says.
 * `assumed`: nothing is lost as long as what the sentence names does not happen. `loss`: acknowledged writes can be lost by a fault that
 * the promise covers.
 */
export interface PromiseVoid {
  readonly effect: 'assumed' | 'loss';
  /** A sentence for people: the setting, its value, what it can cost, and how to take it back. */
  readonly text: string;
}

/** Starts that failed, one after the other. */
export interface StartFailures {
  readonly times: number;
  /** `data`: by the server's own words, what lies in its data directory is damaged or missing. */
  readonly cause: 'data' | 'unknown';
  /** The server's own words, of the last one. */
  readonly words: string;
}

/** One database server, as its own agent sees it. */
export type EngineState =
  /** No data directory, or an empty one. */
  | { readonly kind: 'absent' }
  /** A copy that was not finished, or a rewind that failed: must never be started. */
  | { readonly kind: 'incomplete' }
  /**
   * Not ours, or of another cluster or version: nothing is touched. `problem` is a sentence for people. `damaged`: this member's own data,
   * which no server starts with; a new copy may take its place.
   */
  | { readonly kind: 'refused'; readonly problem: string; readonly data?: 'damaged' | undefined }
  | {
      readonly kind: 'stopped';
      /** `clean`: shut down in order, `position` is its end. `crashed`: the end is known only after recovery. */
      readonly shutdown: 'clean' | 'crashed';
      readonly position: Position | null;
      readonly systemId: SystemId;
      /** Absent when the last start did not fail. */
      readonly startFailures?: StartFailures | undefined;
    }
  | { readonly kind: 'starting'; readonly sinceMs: number }
  | {
      readonly kind: 'replica';
      readonly systemId: SystemId;
      /** Everything durable here, known only once the local log has been read to its end (P7); null before. */
      readonly position: Position | null;
      readonly replayed: Position;
      /** Whom it is configured to follow; null: sealed or not yet told. */
      readonly upstream: MemberId | null;
      readonly receiver: Receiver;
      /** Why what it received cannot be applied, so that it cannot be opened now: half a sentence for people. Its position counts all the same. */
      readonly blocked?: string | undefined;
      /** Why it applies nothing more until its server is started again, which puts that right: half a sentence for people. */
      readonly parked?: string | undefined;
      /** What of this server voids the promise, read from the server itself; left out: nothing. */
      readonly voids?: readonly PromiseVoid[] | undefined;
    }
  | {
      readonly kind: 'primary';
      readonly systemId: SystemId;
      readonly position: Position;
      readonly acks: AckState;
      readonly replicas: readonly ReplicaProgress[];
      /** It takes writes, and no agent of this member has opened it; left out: one has. */
      readonly opened?: 'outside' | undefined;
      /** As of a replica. */
      readonly voids?: readonly PromiseVoid[] | undefined;
    }
  /** The process runs but does not answer. */
  | {
      readonly kind: 'unresponsive';
      readonly was: 'replica' | 'primary' | 'unknown';
      readonly sinceMs: number;
      /** It does answer, and lets its agent ask nothing: what it says. Such a server is alive, and serves others perhaps. */
      readonly refusal?: string | undefined;
    };

/** The variants of a server's state by their names. */
export type ReplicaState = Extract<EngineState, { kind: 'replica' }>;
export type PrimaryState = Extract<EngineState, { kind: 'primary' }>;
export type StoppedState = Extract<EngineState, { kind: 'stopped' }>;
export type UnresponsiveState = Extract<EngineState, { kind: 'unresponsive' }>;

/** Long work in progress on the engine: only one at a time. */
export interface EngineJob {
  readonly kind: 'initialize' | 'clone' | 'rewind' | 'start' | 'stop' | 'checkpoint' | 'promote';
  readonly sinceMs: number;
  readonly progress: { readonly doneBytes: number; readonly totalBytes: number | null } | null;
}
