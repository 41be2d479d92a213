import type { Writable } from 'node:stream';
import type {
  AckRule,
  EngineCommand,
  EngineJob,
  EngineState,
  KeptFolder,
  Member,
  MemberId,
  Ms,
  Position,
} from '@understudy/core';
import type { CopyRequest } from './copy.ts';
import type { EngineError } from './errors.ts';
import type { LoginsSeen, OwnLogins } from './login.ts';

/** What the agent knows of the cluster when it gives a command: an engine needs addresses, names and slots. */
export interface ClusterContext {
  readonly self: MemberId;
  readonly members: ReadonlyMap<MemberId, Member>;
  /** Newest known position of every other member, for the retention of log. */
  readonly positions: ReadonlyMap<MemberId, Position>;
  readonly parameters: Readonly<Record<string, string>>;
  readonly synchronousCommit: 'on' | 'remote_apply' | 'remote_write' | 'local';
  /** Whether this member's acknowledgements may count: the recorded rule, or the one that it is changing to, names it. For engines whose replicas have to ask for it. */
  readonly acknowledges: 'yes' | 'no';
  /** This member's own logins; left out: it uses the account that all members share. */
  readonly logins?: OwnLogins;
}

/** What another member's agent said last of its own server. */
export interface MemberReport {
  /** Everything durable there; null when that is not known. */
  readonly position: Position | null;
  /** Whom its server receives from, right now. */
  readonly streamsFrom: MemberId | null;
  /** How long ago the report was made. */
  readonly silentMs: number;
}

/** A server parameter that an operator wants for the cluster, and that this member's server would not take. */
export interface ParameterProblem {
  readonly name: string;
  /** The rest of a sentence that begins with the name: what is wrong, and what to do. */
  readonly problem: string;
}

/** One thing that is kept of replaced data, for an operator. */
export interface KeptListing extends KeptFolder {
  readonly path: string;
  /** Why it is kept: half a sentence. */
  readonly why: string;
  readonly sinceWallMs: number;
}

export interface KeptSummary {
  readonly folders: number;
  readonly bytes: number;
  /** Why no further copy is made by itself here, in sentences: what may be the only copy exceeds the budget. Null: nothing stands against one. */
  readonly held: string | null;
}

/** What `observe` returns beside the state: facts for people and for metrics, never for decisions of safety. */
export interface EngineDetails {
  readonly version: string | null;
  readonly pendingRestart: readonly string[];
  readonly warnings: readonly string[];
  /** Log kept back for slots, in bytes, by slot name. */
  readonly retainedBytes: Readonly<Record<string, number>>;
  readonly processId: number | null;
  /** What is kept of replaced data, as of the last look. */
  readonly kept: KeptSummary;
  /** As of the last look; null before it. Left out by an engine whose members have no logins of their own. */
  readonly logins?: LoginsSeen | null;
}

/**
 * One database server, driven by its agent. Every method is idempotent and bounded by a deadline of its own;
 * failures are `EngineError`s. `observe` never throws: what it cannot find out is a state.
 */
export interface Engine {
  readonly name: string;
  /** The most acknowledgements that a commit can wait for; null: any number. */
  readonly requiredAcksMax: number | null;
  /** The degrees of `synchronousCommit` that its commits can have, besides `on`. */
  readonly commitDegrees: readonly ClusterContext['synchronousCommit'][];
  /** How a leader knows how far its replicas are: `seen` by its own server, or `reported` by their agents, whose word `observe` is given. */
  readonly progress: 'seen' | 'reported';
  /** The present state. Cheap: called several times a second. `reports` is left out for an engine that sees the progress itself. */
  observe(
    reports?: ReadonlyMap<MemberId, MemberReport>,
  ): Promise<{ readonly state: EngineState; readonly details: EngineDetails }>;
  /** The long work in progress, if any, without asking the server. */
  job(): EngineJob | null;
  canRewind(): 'yes' | 'no';
  /**
   * Carries out one command. Long ones (`initialize`, `start`, `stop`, `clone`, `rewind`, `checkpoint`, `provision`) resolve as soon as the work has begun and
   * go on as the job; their failure arrives through `onChange` and `takeFailures`. Others resolve when the effect is proven.
   */
  execute(command: EngineCommand, context: ClusterContext): Promise<void>;
  /** Failures of background jobs since the last call. */
  takeFailures(): readonly { readonly command: string; readonly error: EngineError }[];
  /**
   * What is wrong with these server parameters, before they are stored for the whole cluster: names that the server does not know, names that are not
   * the operator's to set, values with which it would not start. The present server is not touched. Parameters that are right are left out.
   *
   * @throws EngineError `ENGINE_TIMEOUT`, `ENGINE_BINARY_MISSING` when it cannot be found out.
   */
  checkParameters(parameters: Readonly<Record<string, string>>): Promise<readonly ParameterProblem[]>;
  /** Keeps the standing things in order (slots for every member, retention, parameters). Called every second or so while nothing else happens. */
  maintain(context: ClusterContext): Promise<void>;
  /** Calls back at once when something that matters may have changed: process exit, job finished. */
  onChange(listener: () => void): void;
  /**
   * Writes a physical copy of this server to `output`, without ending it, for another member's engine. Resolves only when all of it is written
   * and the copy is whole; one at a time. A command that the copy could keep waiting ends it. Left out by an engine whose copies come another way.
   *
   * @throws EngineError `ENGINE_COPY_UNAVAILABLE` when the other one has to be copied in another way, `ENGINE_BUSY`, `ENGINE_CLONE_FAILED`.
   */
  sendCopy?(request: CopyRequest, output: Writable, signal: AbortSignal): Promise<void>;
  /** What is kept of replaced data beside the data directory, oldest first. */
  listKept(): Promise<readonly KeptListing[]>;
  /** Removes one of that, on an operator's word. @throws EngineError `ENGINE_DATA_REFUSED` when there is none of that name. */
  removeKept(name: string): Promise<KeptListing>;
  /** What its servers store of a password for replication. Left out by an engine whose members have no logins of their own. */
  verifierOf?(password: string): Promise<string>;
  /** Ends the observer's connections; `server` says what becomes of the server itself. */
  close(server: 'leave-running' | 'stop'): Promise<void>;
}

export type { CopyRequest, OpenCopy } from './copy.ts';
export { EngineError, type EngineErrorCode } from './errors.ts';
export { type LoginsSeen, loginKey, type OwnLogins } from './login.ts';
export type { AckRule, Ms };
