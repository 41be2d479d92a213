import type { AckRule, EngineCommand, EngineJob, EngineState, Member, MemberId, Ms, Position } from '@understudy/core';

/** What the agent knows of the cluster when it gives a command: an engine needs addresses, names and slots. */
export interface ClusterContext {
  readonly self: MemberId;
  readonly members: ReadonlyMap<MemberId, Member>;
  /** Newest known position of every other member, for the retention of log. */
  readonly positions: ReadonlyMap<MemberId, Position>;
  readonly parameters: Readonly<Record<string, string>>;
  readonly synchronousCommit: 'on' | 'remote_apply' | 'remote_write' | 'local';
}

/** What `observe` returns beside the state: facts for people and for metrics, never for decisions of safety. */
export interface EngineDetails {
  readonly version: string | null;
  readonly pendingRestart: readonly string[];
  readonly warnings: readonly string[];
  /** Log kept back for slots, in bytes, by slot name. */
  readonly retainedBytes: Readonly<Record<string, number>>;
  readonly processId: number | null;
}

/**
 * One database server, driven by its agent. Every method is idempotent and bounded by a deadline of its own;
 * failures are `EngineError`s. `observe` never throws: what it cannot find out is a state.
 */
export interface Engine {
  readonly name: string;
  /** The present state. Cheap: called several times a second. */
  observe(): Promise<{ readonly state: EngineState; readonly details: EngineDetails }>;
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
  /** Keeps the standing things in order (slots for every member, retention, parameters). Called every second or so while nothing else happens. */
  maintain(context: ClusterContext): Promise<void>;
  /** Calls back at once when something that matters may have changed: process exit, job finished. */
  onChange(listener: () => void): void;
  /** Ends the observer's connections; `server` says what becomes of the server itself. */
  close(server: 'leave-running' | 'stop'): Promise<void>;
}

export type EngineErrorCode =
  | 'ENGINE_BINARY_MISSING'
  | 'ENGINE_DATA_REFUSED'
  | 'ENGINE_DISK_FULL'
  | 'ENGINE_PORT_IN_USE'
  | 'ENGINE_START_FAILED'
  | 'ENGINE_STOP_TIMEOUT'
  | 'ENGINE_UNREACHABLE'
  | 'ENGINE_TIMEOUT'
  | 'ENGINE_SEAL_UNPROVEN'
  | 'ENGINE_RULE_UNPROVEN'
  | 'ENGINE_PROMOTE_FAILED'
  | 'ENGINE_DECISION_STALE'
  | 'ENGINE_CLONE_FAILED'
  | 'ENGINE_REWIND_FAILED'
  | 'ENGINE_LOGIN_FAILED'
  | 'ENGINE_BUSY'
  | 'ENGINE_INTERNAL';

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

export type { AckRule, Ms };
