import { setTimeout as delay } from 'node:timers/promises';
import type { EngineCommand, EngineJob, EngineState } from '@understudy/core';
import {
  type ClusterContext,
  type Engine,
  type EngineDetails,
  EngineError,
  type KeptListing,
  type ParameterProblem,
} from '@understudy/engine';
import { type JobHandle, Jobs, monotonicMs } from '@understudy/engine/host';
import { clone } from './clone/clone.ts';
import { setAckRule } from './commands/ack-rule.ts';
import { startProblems, wouldStart } from './commands/dry-check.ts';
import { follow } from './commands/follow.ts';
import { initialize } from './commands/initialize.ts';
import { promote } from './commands/promote.ts';
import { checkpoint, provision } from './commands/provision.ts';
import { canRewind, rewind } from './commands/rewind.ts';
import { seal } from './commands/seal.ts';
import { start } from './commands/start.ts';
import { fence, stopInOrder } from './commands/stop.ts';
import { engineError } from './errors.ts';
import type { Instance } from './instance.ts';
import { Maintenance } from './maintain.ts';
import type { Observer } from './observe/observer.ts';
import type { Probe } from './observe/probe.ts';

/** An opening that takes longer than this becomes a job. */
const shortOpeningMs = 1500;

/** Jobs that go on beside short commands: they only write what the server would write by itself sooner or later. */
const harmless = new Set<string>(['provision', 'checkpoint']);

/** A PostgreSQL server behind the engine port; made by `createPostgresEngine`. */
export class PostgresEngine implements Engine {
  readonly name = 'postgres';
  readonly requiredAcksMax = null;
  readonly commitDegrees = ['remote_apply', 'remote_write', 'local'] as const;
  readonly progress = 'seen';
  readonly #instance: Instance;
  readonly #observer: Observer;
  readonly #probe: Probe;
  readonly #jobs: Jobs;
  readonly #maintenance: Maintenance;
  readonly #listeners: (() => void)[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  #maintaining: Promise<void> | null = null;
  #life: 'open' | 'closed' = 'open';

  constructor(instance: Instance, observer: Observer, probe: Probe) {
    this.#instance = instance;
    this.#observer = observer;
    this.#probe = probe;
    this.#jobs = new Jobs(
      () => this.#changed(),
      (command, error) => engineError('ENGINE_INTERNAL', command, error),
    );
    this.#maintenance = new Maintenance(instance, probe);
    instance.postmaster.onExit(() => {
      probe.reset();
      this.#changed();
    });
    instance.sql.onCut(() => {
      // The server may have died (an adopted one tells us no other way) or only this connection of it.
      instance.postmaster.check();
      this.#changed();
    });
    probe.start();
  }

  #changed(): void {
    if (this.#life === 'closed') return;
    for (const listener of this.#listeners) listener();
  }

  async observe(): Promise<{ readonly state: EngineState; readonly details: EngineDetails }> {
    const state = await this.#observer.observe();
    const { version, postmaster, kept } = this.#instance;
    kept.refresh();
    const { summary } = kept;
    const facts = this.#maintenance.details();
    const warnings = [...facts.warnings, ...(summary.held === null ? [] : [summary.held])];
    const processId = postmaster.running?.pid ?? null;
    return { state, details: { version, processId, ...facts, warnings, kept: summary } };
  }

  job(): EngineJob | null {
    return this.#jobs.running;
  }

  canRewind(): 'yes' | 'no' {
    return canRewind(this.#instance);
  }

  takeFailures(): readonly { readonly command: string; readonly error: EngineError }[] {
    return this.#jobs.takeFailures();
  }

  async checkParameters(parameters: Readonly<Record<string, string>>): Promise<readonly ParameterProblem[]> {
    const wrong = this.#instance.config.check(parameters);
    return wrong.length > 0 ? wrong : startProblems(this.#instance, parameters);
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
    this.#observer.attempt.learn(context.members);
    if (!(await this.#mayRun(command))) return;
    switch (command.kind) {
      case 'initialize':
        return this.#begin('initialize', 'initialize', ({ signal }) => initialize(instance, signal));
      case 'start':
        if (this.#isUp()) return;
        return this.#begin('start', 'start', ({ signal }) => start(instance, signal));
      case 'stop':
        return this.#stop(command.mode);
      case 'restart':
        return this.#begin('restart', 'stop', async ({ signal }) => {
          const problem = await wouldStart(instance);
          if (problem !== null) throw notRestarted(problem);
          await stopInOrder(instance, 'orderly');
          await start(instance, signal);
        });
      case 'clone':
      case 'rewind':
        return this.#copy(command, context);
      case 'checkpoint':
        return this.#begin('checkpoint', 'checkpoint', () => checkpoint(instance));
      case 'provision':
        return this.#begin('provision', 'checkpoint', () => provision(instance, context));
      case 'seal':
        return seal(instance);
      case 'follow':
        if ((await follow(instance, command.upstream, context)) === 'changed')
          await this.#observer.receiverLog.restart();
        return;
      case 'set-ack-rule':
        return setAckRule(instance, command.rule);
      case 'promote':
        return this.#promote(command, context);
    }
  }

  /** Refuses what a job in progress forbids; a command that ends the job breaks it off first. */
  async #mayRun(command: EngineCommand): Promise<boolean> {
    const job = this.#jobs.running;
    if (job === null) return true;
    const short = ['seal', 'follow', 'set-ack-rule', 'promote'].includes(command.kind);
    if (harmless.has(job.kind) && short) return true;
    if (harmless.has(job.kind) && ['stop', 'restart'].includes(command.kind)) {
      await this.#jobs.cancel();
      return true;
    }
    if (job.kind === 'start' && command.kind === 'stop') {
      this.#jobs.abort();
      await this.#jobs.idle();
      return true;
    }
    if (short)
      throw new EngineError('ENGINE_BUSY', `The engine is busy (${job.kind}); "${command.kind}" has to wait.`, 'safe');
    return true;
  }

  #isUp(): boolean {
    const running = this.#instance.postmaster.running;
    return running !== null && this.#instance.facts.of(running.pid).answered === 'once';
  }

  #begin(command: string, kind: EngineJob['kind'], work: (handle: JobHandle) => Promise<void>): void {
    this.#jobs.begin(command, kind, work);
  }

  #stop(mode: 'handover' | 'fence' | 'orderly'): Promise<void> | void {
    if (mode === 'fence') return this.#fence();
    return this.#begin('stop', 'stop', () => stopInOrder(this.#instance, mode));
  }

  /** Waits for the opening as long as it is short; a long one (much log to replay) goes on as a job, so that the agent stays awake. */
  async #promote(command: Extract<EngineCommand, { kind: 'promote' }>, context: ClusterContext): Promise<void> {
    const begun = await promote(this.#instance, command, context);
    if (begun === null) return;
    const opening = begun.finish();
    const inTime = opening.then(() => 'open' as const);
    const first = await Promise.race([inTime, delay(shortOpeningMs, 'late' as const, { ref: false })]);
    if (first === 'late') this.#begin('promote', 'promote', () => opening);
  }

  #copy(command: Extract<EngineCommand, { kind: 'clone' | 'rewind' }>, context: ClusterContext): void {
    const from = context.members.get(command.from);
    if (from === undefined) {
      throw new EngineError(
        'ENGINE_INTERNAL',
        `${command.from} is not among the members; its address is unknown.`,
        'safe',
      );
    }
    if (command.kind === 'rewind') {
      this.#begin('rewind', 'rewind', (handle) => rewind(this.#instance, from, handle.progress, handle.signal));
    } else {
      this.#begin('clone', 'clone', (handle) => clone(this.#instance, from, handle.progress, handle.signal));
    }
  }

  async maintain(context: ClusterContext): Promise<void> {
    if (this.#life === 'closed' || (this.job() !== null && !harmless.has(this.job()?.kind ?? ''))) return;
    this.#maintaining ??= this.#maintain(context).finally(() => {
      this.#maintaining = null;
    });
    await this.#maintaining;
  }

  listKept(): Promise<readonly KeptListing[]> {
    return this.#instance.kept.list();
  }

  removeKept(name: string): Promise<KeptListing> {
    return this.#instance.kept.remove(name);
  }

  async #maintain(context: ClusterContext): Promise<void> {
    const configured = this.#turn.then(() => (this.job() === null ? this.#maintenance.configure(context) : undefined));
    this.#turn = configured.catch(() => undefined);
    await configured;
    await this.#maintenance.run(context);
  }

  async close(server: 'leave-running' | 'stop'): Promise<void> {
    if (this.#life === 'closed') return;
    await this.#probe.stop();
    await this.#jobs.cancel();
    await this.#instance.kept.close();
    if (server === 'stop') await stopInOrder(this.#instance, 'orderly').catch(() => this.#instance.postmaster.kill());
    this.#life = 'closed';
    await this.#maintaining?.catch(() => undefined);
    await this.#instance.sql.close();
    this.#instance.postmaster.detach();
  }
}

function notRestarted(problem: string): EngineError {
  const text = `The server is not stopped, because it would not start again: ${problem}. Correct that first.`;
  return new EngineError('ENGINE_START_FAILED', text, 'safe');
}
