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

/** Every failure of an engine, by code, with what to do next. The codes are stable; `docs/postgresql.md` lists them. */
export const engineErrorCodes = {
  ENGINE_BINARY_MISSING: "One of the server's programs is missing or does not run. Install it, or correct binDir.",
  ENGINE_DATA_REFUSED:
    'The data directory or the configuration is not what it must be. Nothing was touched; the message names the place.',
  ENGINE_DISK_FULL: 'The disk is full. Make room; what was half done has been removed and is tried again.',
  ENGINE_PORT_IN_USE: 'Another program listens on the port, or the address is not one of this host.',
  ENGINE_START_FAILED: 'The server ended while it was starting. The message has the end of its log.',
  ENGINE_STOP_TIMEOUT: 'The server did not stop within its deadline, or cannot even be killed.',
  ENGINE_UNREACHABLE: 'The server, here or on another member, does not answer.',
  ENGINE_TIMEOUT: 'The server did not answer a question within its deadline.',
  ENGINE_SEAL_UNPROVEN:
    'It could not be shown that nothing is received any more; the election must not count on this node.',
  ENGINE_RULE_UNPROVEN:
    'It could not be shown which acknowledgement rule the server uses; the stricter one must be assumed.',
  ENGINE_PROMOTE_FAILED:
    'The server was not opened for writes, or not on the wanted history line (it was stopped then).',
  ENGINE_DECISION_STALE: 'The decision to promote was too old when it could be carried out; nothing was opened.',
  ENGINE_CLONE_FAILED: 'The copy failed and was removed; what was there before is as it was.',
  ENGINE_COPY_UNAVAILABLE: 'The files of that member cannot be copied; the copy is made in another way.',
  ENGINE_REWIND_FAILED: 'The rewind failed; the data directory is copied anew.',
  ENGINE_LOGIN_FAILED: 'A server refused our login. Are the secrets the same on every member?',
  ENGINE_BUSY: 'Long work is under way; the command has to wait for it.',
  ENGINE_INTERNAL: 'A mistake in the engine or an answer that it does not understand. Please report it.',
} as const;

export type EngineErrorCode = keyof typeof engineErrorCodes;

/** A failure of an engine's command. `message` names the cause and the next step, and holds no secret. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;
  readonly retry: 'safe' | 'unsafe' | 'unknown';
  constructor(
    code: EngineErrorCode,
    message: string,
    retry: 'safe' | 'unsafe' | 'unknown',
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.code = code;
    this.retry = retry;
  }
}

export type { CopyRequest, OpenCopy } from './copy.ts';
export { type LoginsSeen, loginKey, type OwnLogins } from './login.ts';
export type { AckRule, Ms };
