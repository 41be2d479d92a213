import type { AckRule, EngineState, LogEnd, Member, MemberId } from '@understudy/core';
import { type ClusterContext, EngineError, type ParameterProblem } from '@understudy/engine';
import type { CommandOf, JobHandle, Log, Opening, Probe, ServerAdapter } from '@understudy/engine/host';
import { clone } from './clone/clone.ts';
import { setAckRule } from './commands/ack-rule.ts';
import { checkpoint } from './commands/checkpoint.ts';
import { startProblems, wouldStart } from './commands/dry-check.ts';
import { follow } from './commands/follow.ts';
import { initialize } from './commands/initialize.ts';
import { promote } from './commands/promote.ts';
import { provision } from './commands/provision.ts';
import { canRewind, rewind } from './commands/rewind.ts';
import { seal } from './commands/seal.ts';
import { start } from './commands/start.ts';
import { fence, stopInOrder } from './commands/stop.ts';
import type { Instance } from './instance.ts';
import { Maintenance } from './maintain.ts';
import type { Observer } from './observe/observer.ts';

/** The verbs of PostgreSQL, each in a file of its own. */
export class PostgresAdapter implements ServerAdapter {
  readonly name = 'postgres';
  readonly requiredAcksMax = null;
  readonly commitDegrees = ['remote_apply', 'remote_write', 'local'] as const;
  readonly progress = 'seen';
  readonly outgoing = null;
  readonly background = null;
  readonly probe: Probe;
  readonly #instance: Instance;
  readonly #observer: Observer;
  readonly #maintenance: Maintenance;

  constructor(instance: Instance, observer: Observer, probe: Probe) {
    this.#instance = instance;
    this.#observer = observer;
    this.probe = probe;
    this.#maintenance = new Maintenance(instance, probe);
  }

  get member(): string {
    return this.#instance.options.member;
  }

  get log(): Log {
    return this.#instance.log;
  }

  get server(): Instance['postmaster'] {
    return this.#instance.postmaster;
  }

  get sql(): Instance['sql'] {
    return this.#instance.sql;
  }

  get facts(): Instance['facts'] {
    return this.#instance.facts;
  }

  get kept(): Instance['kept'] {
    return this.#instance.kept;
  }

  observe(): Promise<EngineState> {
    return this.#observer.observe();
  }

  details(): ReturnType<ServerAdapter['details']> {
    return { version: this.#instance.version, ...this.#maintenance.details() };
  }

  canRewind(): 'yes' | 'no' {
    return canRewind(this.#instance);
  }

  async checkParameters(parameters: Readonly<Record<string, string>>): Promise<readonly ParameterProblem[]> {
    const wrong = this.#instance.config.check(parameters);
    return wrong.length > 0 ? wrong : startProblems(this.#instance, parameters);
  }

  learn(context: ClusterContext): void {
    this.#instance.config.learn(context);
    this.#observer.attempt.learn(context.members);
  }

  initialize(signal: AbortSignal): Promise<void> {
    return initialize(this.#instance, signal);
  }

  start(_end: LogEnd, signal: AbortSignal): Promise<void> {
    return start(this.#instance, signal);
  }

  stop(mode: 'handover' | 'orderly'): Promise<void> {
    return stopInOrder(this.#instance, mode);
  }

  fence(): Promise<void> {
    return fence(this.#instance);
  }

  async rehearse(): Promise<void> {
    const problem = await wouldStart(this.#instance);
    if (problem === null) return;
    const text = `The server is not stopped, because it would not start again: ${problem}. Correct that first.`;
    throw new EngineError('ENGINE_START_FAILED', text, 'safe');
  }

  clone(from: Member, { progress, signal }: JobHandle): Promise<void> {
    return clone(this.#instance, from, progress, signal);
  }

  rewind(from: Member, { progress, signal }: JobHandle): Promise<void> {
    return rewind(this.#instance, from, progress, signal);
  }

  checkpoint(signal: AbortSignal): Promise<void> {
    return checkpoint(this.#instance, signal);
  }

  provision(context: ClusterContext, signal: AbortSignal): Promise<void> {
    return provision(this.#instance, context, signal);
  }

  seal(): Promise<void> {
    return seal(this.#instance);
  }

  async follow(upstream: MemberId, context: ClusterContext): Promise<void> {
    if ((await follow(this.#instance, upstream, context)) === 'changed') await this.#observer.receiverLog.restart();
  }

  setAckRule(rule: AckRule): Promise<void> {
    return setAckRule(this.#instance, rule);
  }

  promote(command: CommandOf<'promote'>, context: ClusterContext): Promise<Opening | null> {
    return promote(this.#instance, command, context);
  }

  configure(context: ClusterContext): Promise<void> {
    return this.#maintenance.configure(context);
  }

  maintain(context: ClusterContext): Promise<void> {
    return this.#maintenance.run(context);
  }
}
