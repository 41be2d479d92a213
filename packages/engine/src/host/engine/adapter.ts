import type { Writable } from 'node:stream';
import type { AckRule, EngineCommand, EngineState, LogEnd, Member, MemberId } from '@understudy/core';
import type {
  ClusterContext,
  CopyRequest,
  Engine,
  EngineDetails,
  MemberReport,
  ParameterProblem,
} from '../../index.ts';
import type { JobHandle } from '../jobs.ts';
import type { KeptFolders } from '../kept.ts';
import type { ServerProcess } from '../process/server-process.ts';

export interface LogEntry {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Gets what an operator may want to read, never a secret. */
export type Log = (entry: LogEntry) => void;

export type CommandOf<Kind extends EngineCommand['kind']> = Extract<EngineCommand, { kind: Kind }>;

/** What remains of a promotion once the server has been told: it may take long. */
export interface Opening {
  readonly finish: () => Promise<void>;
}

/** Copies of this server's files that are sent to other members, beside the commands. */
export interface OutgoingCopies {
  send(request: CopyRequest, output: Writable, signal: AbortSignal): Promise<void>;
  /** Carries out `work` for a command, with no copy in its way. */
  besides(kind: EngineCommand['kind'], work: () => Promise<void>): Promise<void>;
  /** Ends the copy that is on its way, if any. Never rejects. */
  end(reason: string): Promise<void>;
}

/**
 * What differs from one database product to the next: how its server is made, started, asked and told. The host (`ServerEngine`) says when
 * each of these runs, and which of them may run at the same time. Each verb is idempotent and bounded by a deadline of its own. One that is
 * given a signal ends soon after it fires, and starts no server any more.
 */
export interface ServerAdapter
  extends Pick<Engine, 'name' | 'requiredAcksMax' | 'commitDegrees' | 'progress' | 'verifierOf'> {
  readonly member: string;
  readonly log: Log;
  readonly server: Pick<ServerProcess, 'running' | 'onExit' | 'check' | 'kill' | 'detach'>;
  readonly sql: { onCut(listener: () => void): void; close(): Promise<void> };
  readonly facts: { of(pid: number): { readonly answered: 'never' | 'once' } };
  readonly probe: { start(): void; stop(): Promise<void>; reset(): void };
  readonly kept: Pick<KeptFolders, 'refresh' | 'summary' | 'list' | 'remove' | 'close'>;
  /** Null for an engine whose copies come another way. */
  readonly outgoing: OutgoingCopies | null;
  /** Work that nothing waits for, and that reads what is kept of replaced data. */
  readonly background: { end(): Promise<void> } | null;

  observe(reports: ReadonlyMap<MemberId, MemberReport> | undefined): Promise<EngineState>;
  details(): Pick<EngineDetails, 'version' | 'pendingRestart' | 'warnings' | 'retainedBytes' | 'logins'>;
  canRewind(): 'yes' | 'no';
  checkParameters(parameters: Readonly<Record<string, string>>): Promise<readonly ParameterProblem[]>;

  /** Called with what the agent knows, before each command. */
  learn(context: ClusterContext): void;
  initialize(signal: AbortSignal): Promise<void>;
  start(end: LogEnd, signal: AbortSignal): Promise<void>;
  stop(mode: 'handover' | 'orderly'): Promise<void>;
  /** Ends the server at once, with everything that it has not yet sent. */
  fence(): Promise<void>;
  /** @throws EngineError when the server would not start again as it is wanted now. */
  rehearse(): Promise<void>;
  clone(from: Member, job: JobHandle): Promise<void>;
  /** Null for an engine that cannot turn its data back. */
  readonly rewind: ((from: Member, job: JobHandle) => Promise<void>) | null;
  /** Nobody waits for these two to end when their signal fires: what they have told the server goes on, and they begin nothing more. */
  checkpoint(signal: AbortSignal): Promise<void>;
  provision(context: ClusterContext, signal: AbortSignal): Promise<void>;
  seal(): Promise<void>;
  follow(upstream: MemberId, context: ClusterContext): Promise<void>;
  setAckRule(rule: AckRule, context: ClusterContext): Promise<void>;
  /** @returns null when the server is open already. */
  promote(command: CommandOf<'promote'>, context: ClusterContext): Promise<Opening | null>;

  /** Standing work that changes what the server receives or counts: it is done in turn with the commands. */
  configure(context: ClusterContext): Promise<void>;
  /** Standing work that goes on beside commands. */
  maintain(context: ClusterContext): Promise<void>;
}
