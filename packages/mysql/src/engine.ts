import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { type EngineCommand, type EngineJob, type EngineState, KEEP_END } from '@understudy/core';
import {
  type ClusterContext,
  type CopyRequest,
  type Engine,
  type EngineDetails,
  EngineError,
  type KeptListing,
  type ParameterProblem,
} from '@understudy/engine';
import { type JobFailure, type JobHandle, Jobs, monotonicMs } from '@understudy/engine/host';
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
import { engineError } from './errors.ts';
import type { Instance } from './instance.ts';
import { Maintenance } from './maintain.ts';
import type { Observer, Reports } from './observe/observer.ts';
import type { Probe } from './observe/probe.ts';

/** An opening that takes longer than this becomes a job. */
const shortOpeningMs = 1500;

/** Jobs that go on beside short commands. */
const harmless = new Set<string>(['provision', 'checkpoint']);
const short = new Set<string>(['seal', 'follow', 'set-ack-rule', 'promote']);
const noReports: Reports = new Map();

type Of<Kind extends EngineCommand['kind']> = Extract<EngineCommand, { kind: Kind }>;

/** A MySQL or MariaDB server behind the engine port; made by `createMysqlEngine`. */
export class MysqlEngine implements Engine {
  readonly name: string;
  readonly requiredAcksMax: number | null;
  /** A replica acknowledges what it has written durably, and nothing else can be asked for. */
  readonly commitDegrees = [];
  readonly progress = 'reported';
  readonly #instance: Instance;
  readonly #observer: Observer;
  readonly #probe: Probe;
  readonly #jobs: Jobs;
  readonly #maintenance: Maintenance;
  readonly #listeners: (() => void)[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  #maintaining: Promise<void> | null = null;
  #life: 'open' | 'closed' = 'open';

  constructor(instance: Instance, observer: Observer, probe: Probe, requiredAcksMax: number | null) {
    this.name = instance.programs.flavour;
    this.requiredAcksMax = requiredAcksMax;
    this.#instance = instance;
    this.#observer = observer;
    this.#probe = probe;
    this.#jobs = new Jobs(
      () => this.#changed(),
      (command, error) => engineError('ENGINE_INTERNAL', command, error),
    );
    this.#maintenance = new Maintenance(instance);
    instance.process.onExit(() => {
      probe.reset();
      this.#changed();
    });
    instance.sql.onCut(() => {
      // The server may have died (an adopted one tells us no other way) or only this connection of it.
      instance.process.check();
      this.#changed();
    });
    probe.start();
  }

  #changed(): void {
    if (this.#life === 'closed') return;
    for (const listener of this.#listeners) listener();
  }

  async observe(reports = noReports): Promise<{ readonly state: EngineState; readonly details: EngineDetails }> {
    const state = await this.#observer.observe(reports);
    const { programs, process: server, kept, outside } = this.#instance;
    kept.refresh();
    const { summary } = kept;
    const { pendingRestart } = this.#maintenance;
    const warnings = [
      ...this.#observer.warnings,
      ...outside.warnings(),
      ...this.#maintenance.warnings,
      ...(summary.held === null ? [] : [summary.held]),
    ];
    const processId = server.running?.pid ?? null;
    const { version } = programs;
    return { state, details: { version, processId, warnings, pendingRestart, retainedBytes: {}, kept: summary } };
  }

  job(): EngineJob | null {
    return this.#jobs.running;
  }

  canRewind(): 'no' {
    return 'no';
  }

  takeFailures(): readonly JobFailure[] {
    return this.#jobs.takeFailures();
  }

  async checkParameters(parameters: Readonly<Record<string, string>>): Promise<readonly ParameterProblem[]> {
    return this.#instance.config.check(parameters);
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async execute(command: EngineCommand, context: ClusterContext): Promise<void> {
    if (this.#life === 'closed') throw new EngineError('ENGINE_INTERNAL', 'The engine has been closed.', 'unsafe');
    const beginMs = monotonicMs();
    // Fencing waits for nothing: neither for a job nor for a command that hangs.
    const work = command.kind === 'stop' && command.mode === 'fence' ? this.#fence() : this.#inTurn(command, context);
    try {
      await work;
    } catch (error) {
      throw engineError('ENGINE_INTERNAL', `The command "${command.kind}"`, error);
    } finally {
      const fields = { command: command.kind, tookMs: Math.round(monotonicMs() - beginMs) };
      this.#instance.log({ level: 'debug', message: 'engine command', fields });
    }
  }

  async #fence(): Promise<void> {
    this.#jobs.abort();
    // Its program dies with it; the kill of the server does not wait for that.
    void this.#instance.outgoing.end('fence');
    await fence(this.#instance);
  }

  /** One short command at a time, in the order given. */
  #inTurn(command: EngineCommand, context: ClusterContext): Promise<void> {
    const turn = this.#turn.then(() => this.#execute(command, context));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #execute(command: EngineCommand, context: ClusterContext): Promise<void> {
    const instance = this.#instance;
    instance.config.learn(context);
    await this.#makeWay(command);
    return instance.outgoing.besides(command.kind, async () => this.#carryOut(command, context));
  }

  async #carryOut(command: EngineCommand, context: ClusterContext): Promise<void> {
    const instance = this.#instance;
    switch (command.kind) {
      case 'initialize':
        return this.#begin('initialize', 'initialize', ({ signal }) => initialize(instance, signal));
      case 'start':
        if (this.#isUp()) return;
        return this.#begin('start', 'start', ({ signal }) => start(instance, command.end, signal));
      case 'stop':
        return this.#stop(command.mode);
      case 'restart':
        return this.#begin('restart', 'stop', async ({ signal }) => {
          await instance.config.rehearse();
          await stopInOrder(instance, 'orderly');
          await start(instance, KEEP_END, signal);
        });
      case 'clone':
        return this.#clone(command, context);
      case 'checkpoint':
        return this.#begin('checkpoint', 'checkpoint', () => checkpoint(instance));
      case 'provision':
        return this.#begin('provision', 'checkpoint', () => provision(instance, context));
      case 'seal':
        return seal(instance);
      case 'follow':
        return follow(instance, command.upstream, context);
      case 'set-ack-rule':
        return setAckRule(instance, command.rule, context);
      case 'promote':
        return this.#promote(command, context);
      case 'rewind':
        throw new EngineError(
          'ENGINE_REWIND_FAILED',
          'This engine cannot rewind; a new copy is made instead.',
          'unsafe',
        );
    }
  }

  /** Refuses what a job in progress forbids; a command that ends the job breaks it off first. */
  async #makeWay(command: EngineCommand): Promise<void> {
    const job = this.#jobs.running;
    if (job === null || (harmless.has(job.kind) && short.has(command.kind))) return;
    const ends =
      (harmless.has(job.kind) && ['stop', 'restart'].includes(command.kind)) ||
      (job.kind === 'start' && command.kind === 'stop');
    if (ends) await this.#jobs.cancel();
    else if (short.has(command.kind)) {
      throw new EngineError('ENGINE_BUSY', `The engine is busy (${job.kind}); "${command.kind}" has to wait.`, 'safe');
    }
  }

  #isUp(): boolean {
    const running = this.#instance.process.running;
    return running !== null && this.#instance.facts.of(running.pid).answered === 'once';
  }

  #begin(command: string, kind: EngineJob['kind'], work: (handle: JobHandle) => Promise<void>): void {
    this.#jobs.begin(command, kind, work);
  }

  #stop(mode: Of<'stop'>['mode']): Promise<void> | void {
    if (mode === 'fence') return this.#fence();
    return this.#begin('stop', 'stop', () => stopInOrder(this.#instance, mode));
  }

  /** Waits for the opening as long as it is short; a long one (much to apply) goes on as a job, so that the agent stays awake. */
  async #promote(command: Of<'promote'>, context: ClusterContext): Promise<void> {
    const opening = promote(this.#instance, command, context);
    const inTime = opening.then(() => 'open' as const);
    const first = await Promise.race([inTime, delay(shortOpeningMs, 'late' as const, { ref: false })]);
    if (first === 'late') this.#begin('promote', 'promote', () => opening);
  }

  #clone(command: Of<'clone'>, context: ClusterContext): void {
    const from = context.members.get(command.from);
    if (from === undefined) {
      const text = `${command.from} is not among the members; its address is unknown.`;
      throw new EngineError('ENGINE_INTERNAL', text, 'safe');
    }
    this.#begin('clone', 'clone', (handle) => clone(this.#instance, from, handle.progress, handle.signal));
  }

  async maintain(context: ClusterContext): Promise<void> {
    const job = this.job();
    if (this.#life === 'closed' || (job !== null && !harmless.has(job.kind))) return;
    this.#maintaining ??= this.#maintenance.run(context).finally(() => {
      this.#maintaining = null;
    });
    await this.#maintaining;
  }

  async sendCopy(request: CopyRequest, output: Writable, signal: AbortSignal): Promise<void> {
    const { options, process: server, outgoing } = this.#instance;
    const job = this.job();
    if (job !== null && !harmless.has(job.kind)) {
      throw new EngineError('ENGINE_BUSY', `${options.member} is busy (${job.kind}); the copy has to wait.`, 'safe');
    }
    if (this.#life === 'closed' || server.running === null) {
      throw new EngineError('ENGINE_CLONE_FAILED', `The server of ${options.member} does not run.`, 'safe');
    }
    await outgoing.send(request, output, signal);
  }

  listKept(): Promise<readonly KeptListing[]> {
    return this.#instance.kept.list();
  }

  async removeKept(name: string): Promise<KeptListing> {
    // It may be read just now.
    await this.#instance.tails.end();
    return this.#instance.kept.remove(name);
  }

  async close(server: 'leave-running' | 'stop'): Promise<void> {
    if (this.#life === 'closed') return;
    await this.#probe.stop();
    await this.#instance.outgoing.end('close');
    await this.#jobs.cancel();
    await this.#instance.tails.end();
    await this.#instance.kept.close();
    if (server === 'stop') await stopInOrder(this.#instance, 'orderly').catch(() => this.#instance.process.kill());
    this.#life = 'closed';
    await this.#maintaining?.catch(() => undefined);
    await this.#instance.sql.close();
    this.#instance.process.detach();
  }
}
