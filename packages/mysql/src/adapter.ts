import type { AckRule, EngineState, LogEnd, Member, MemberId } from '@understudy/core';
import type { ClusterContext, ParameterProblem } from '@understudy/engine';
import type { CommandOf, JobHandle, Log, Opening, Probe, ServerAdapter } from '@understudy/engine/host';
import { clone } from './clone/clone.ts';
import { setAckRule } from './commands/ack-rule.ts';
import { checkpoint } from './commands/checkpoint.ts';
import { follow } from './commands/follow.ts';
import { initialize } from './commands/initialize.ts';
import { promote } from './commands/promote.ts';
import { provision } from './commands/provision.ts';
import { seal } from './commands/seal.ts';
import { start } from './commands/start.ts';
import { fence, stopInOrder } from './commands/stop.ts';
import type { Instance } from './instance.ts';
import { Maintenance } from './maintain.ts';
import type { Observer, Reports } from './observe/observer.ts';

const noReports: Reports = new Map();

/** The verbs of MySQL and MariaDB, each in a file of its own. */
export class MysqlAdapter implements ServerAdapter {
  /** A replica acknowledges what it has written durably, and nothing else can be asked for. */
  readonly commitDegrees = [];
  readonly progress = 'reported';
  readonly rewind = null;
  readonly probe: Probe;
  readonly #instance: Instance;
  readonly #observer: Observer;
  readonly #maintenance: Maintenance;

  constructor(instance: Instance, observer: Observer, probe: Probe) {
    this.#instance = instance;
    this.#observer = observer;
    this.probe = probe;
    this.#maintenance = new Maintenance(instance);
  }

  get name(): string {
    return this.#instance.programs.flavour;
  }

  get requiredAcksMax(): number | null {
    return this.#instance.dialect.requiredAcksMax;
  }

  get member(): string {
    return this.#instance.options.member;
  }

  get log(): Log {
    return this.#instance.log;
  }

  get server(): Instance['process'] {
    return this.#instance.process;
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

  get outgoing(): Instance['outgoing'] {
    return this.#instance.outgoing;
  }

  get background(): Instance['tails'] {
    return this.#instance.tails;
  }

  observe(reports = noReports): Promise<EngineState> {
    return this.#observer.observe(reports);
  }

  details(): ReturnType<ServerAdapter['details']> {
    const { programs, outside } = this.#instance;
    const { pendingRestart } = this.#maintenance;
    const warnings = [...this.#observer.warnings, ...outside.warnings(), ...this.#maintenance.warnings];
    return { version: programs.version, warnings, pendingRestart, retainedBytes: {} };
  }

  canRewind(): 'no' {
    return 'no';
  }

  async checkParameters(parameters: Readonly<Record<string, string>>): Promise<readonly ParameterProblem[]> {
    return this.#instance.config.check(parameters);
  }

  learn(context: ClusterContext): void {
    this.#instance.config.learn(context);
  }

  initialize(signal: AbortSignal): Promise<void> {
    return initialize(this.#instance, signal);
  }

  start(end: LogEnd, signal: AbortSignal): Promise<void> {
    return start(this.#instance, end, signal);
  }

  stop(mode: 'handover' | 'orderly'): Promise<void> {
    return stopInOrder(this.#instance, mode);
  }

  fence(): Promise<void> {
    return fence(this.#instance);
  }

  async rehearse(): Promise<void> {
    await this.#instance.config.rehearse();
  }

  clone(from: Member, { progress, signal }: JobHandle): Promise<void> {
    return clone(this.#instance, from, progress, signal);
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

  follow(upstream: MemberId, context: ClusterContext): Promise<void> {
    return follow(this.#instance, upstream, context);
  }

  setAckRule(rule: AckRule, context: ClusterContext): Promise<void> {
    return setAckRule(this.#instance, rule, context);
  }

  async promote(command: CommandOf<'promote'>, context: ClusterContext): Promise<Opening> {
    return { finish: () => promote(this.#instance, command, context) };
  }

  configure(context: ClusterContext): Promise<void> {
    return this.#maintenance.configure(context);
  }

  maintain(context: ClusterContext): Promise<void> {
    return this.#maintenance.run(context);
  }
}
