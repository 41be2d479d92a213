import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '@understudy/base';
import { type EngineCommand, type EngineJob, type EngineState, KEEP_END, type Member } from '@understudy/core';
import {
  type ClusterContext,
  type Engine,
  type EngineDetails,
  EngineError,
  type KeptListing,
  type ParameterProblem,
} from '../../index.ts';
import { engineError } from '../errors.ts';
import { type JobFailure, type JobHandle, Jobs } from '../jobs.ts';
import type { CommandOf, ServerAdapter } from './adapter.ts';
import { type CommandKind, harmless, precedence } from './precedence.ts';

/** An opening that takes longer than this becomes a job. */
const defaultOpeningMs = 1500;
/** How long the end of the engine waits for a command that hangs. */
const defaultPatienceMs = 2000;

/** Jobs that end by themselves or not at all: the server is told, and nothing tells it otherwise. */
const deaf: ReadonlySet<CommandKind> = new Set([...harmless, 'promote']);

/** One database server behind the engine port: says when each verb of its adapter runs, and what may run at the same time. */
export class ServerEngine implements Engine {
  readonly name: string;
  readonly requiredAcksMax: number | null;
  readonly commitDegrees: Engine['commitDegrees'];
  readonly progress: Engine['progress'];
  readonly sendCopy?: NonNullable<Engine['sendCopy']>;
  readonly verifierOf?: NonNullable<Engine['verifierOf']>;
  readonly #adapter: ServerAdapter;
  readonly #jobs: Jobs<CommandKind>;
  readonly #listeners: (() => void)[] = [];
  readonly #shortOpeningMs: number;
  readonly #patienceMs: number;
  #turn: Promise<unknown> = Promise.resolve();
  #maintaining: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  /** `closed`: nothing is asked of the server any more. */
  #life: 'open' | 'closed' = 'open';

  constructor(adapter: ServerAdapter, { shortOpeningMs = defaultOpeningMs, patienceMs = defaultPatienceMs } = {}) {
    this.#shortOpeningMs = shortOpeningMs;
    this.#patienceMs = patienceMs;
    this.name = adapter.name;
    this.requiredAcksMax = adapter.requiredAcksMax;
    this.commitDegrees = adapter.commitDegrees;
    this.progress = adapter.progress;
    this.#adapter = adapter;
    if (adapter.outgoing !== null) this.sendCopy = (...args) => this.#sendCopy(...args);
    if (adapter.verifierOf !== undefined) this.verifierOf = adapter.verifierOf;
    this.#jobs = new Jobs(
      () => this.#changed(),
      (command, error) => engineError('ENGINE_INTERNAL', command, error),
    );
    adapter.server.onExit(() => {
      adapter.probe.reset();
      this.#changed();
    });
    adapter.sql.onCut(() => {
      // The server may have died (an adopted one tells us no other way) or only this connection of it.
      adapter.server.check();
      this.#changed();
    });
    adapter.probe.start();
  }

  #changed(): void {
    if (this.#life === 'closed') return;
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async observe(
    reports?: Parameters<Engine['observe']>[0],
  ): Promise<{ readonly state: EngineState; readonly details: EngineDetails }> {
    const { server, kept } = this.#adapter;
    const state = await this.#adapter.observe(reports);
    kept.refresh();
    const { summary } = kept;
    const details = this.#adapter.details();
    const warnings = [...details.warnings, ...(summary.held === null ? [] : [summary.held])];
    return { state, details: { ...details, warnings, processId: server.running?.pid ?? null, kept: summary } };
  }

  job(): EngineJob | null {
    return this.#jobs.running;
  }

  canRewind(): 'yes' | 'no' {
    return this.#adapter.canRewind();
  }

  takeFailures(): readonly JobFailure[] {
    return this.#jobs.takeFailures();
  }

  checkParameters(parameters: Readonly<Record<string, string>>): Promise<readonly ParameterProblem[]> {
    return this.#adapter.checkParameters(parameters);
  }

  async execute(command: EngineCommand, context: ClusterContext): Promise<void> {
    this.#requireOpen(command);
    const beginMs = monotonicMs();
    // Fencing waits for nothing: neither for a job nor for a command that hangs.
    const work = isFence(command) ? this.#fence() : this.#inTurn(command, context);
    try {
      await work;
    } catch (error) {
      throw engineError('ENGINE_INTERNAL', `The command "${command.kind}"`, error);
    } finally {
      const fields = { command: command.kind, tookMs: Math.round(monotonicMs() - beginMs) };
      this.#adapter.log({ level: 'debug', message: 'engine command', fields });
    }
  }

  async #fence(): Promise<void> {
    this.#jobs.abort();
    // Its program dies with it; the kill of the server does not wait for that.
    void this.#adapter.outgoing?.end('fence');
    await this.#adapter.fence();
  }

  /** One short command at a time, in the order given. */
  #inTurn(command: EngineCommand, context: ClusterContext): Promise<void> {
    const turn = this.#turn.then(() => this.#execute(command, context));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #execute(command: EngineCommand, context: ClusterContext): Promise<void> {
    const adapter = this.#adapter;
    // It may have waited for its turn since it was given.
    this.#requireOpen(command);
    adapter.learn(context);
    if (command.kind === 'start' && this.#isUp()) return;
    if ((await this.#makeWay(command.kind)) === 'under way') return;
    const carryOut = async () => this.#carryOut(command, context);
    await (adapter.outgoing === null ? carryOut() : adapter.outgoing.besides(command.kind, carryOut));
  }

  /** Refuses what a job in progress forbids; a command that ends the job breaks it off first. */
  async #makeWay(command: CommandKind): Promise<'under way' | 'clear'> {
    const job = this.#jobs.command;
    if (job === null) return 'clear';
    switch (precedence(command, job)) {
      case 'same':
        return 'under way';
      case 'beside':
        return 'clear';
      case 'cancels':
        await this.#jobs.cancel();
        return 'clear';
      case 'abandons':
        this.#jobs.abandon();
        return 'clear';
      case 'refused':
        throw new EngineError('ENGINE_BUSY', `The engine is busy (${job}); "${command}" has to wait.`);
    }
  }

  async #carryOut(command: EngineCommand, context: ClusterContext): Promise<void> {
    const adapter = this.#adapter;
    switch (command.kind) {
      case 'initialize':
        return this.#begin('initialize', ({ signal }) => adapter.initialize(signal));
      case 'start':
        return this.#begin('start', ({ signal }) => adapter.start(command.end, signal));
      case 'stop':
        return this.#stop(command.mode);
      case 'restart':
        return this.#begin('restart', (handle) => this.#restart(handle));
      case 'clone': {
        const from = source(command, context);
        return this.#begin('clone', (handle) => adapter.clone(from, handle));
      }
      case 'rewind': {
        const { rewind } = adapter;
        if (rewind === null) throw cannotRewind();
        const from = source(command, context);
        return this.#begin('rewind', (handle) => rewind.call(adapter, from, handle));
      }
      case 'checkpoint':
        return this.#begin('checkpoint', ({ signal }) => adapter.checkpoint(signal));
      case 'provision':
        return this.#begin('provision', ({ signal }) => adapter.provision(context, signal));
      case 'seal':
        return adapter.seal();
      case 'follow':
        return adapter.follow(command.upstream, context);
      case 'set-ack-rule':
        return adapter.setAckRule(command.rule, context);
      case 'promote':
        return this.#promote(command, context);
    }
  }

  #isUp(): boolean {
    const { server, facts } = this.#adapter;
    return server.running !== null && facts.of(server.running.pid).answered === 'once';
  }

  #begin(command: CommandKind, work: (handle: JobHandle) => Promise<void>): void {
    this.#jobs.begin(command, jobKind(command), work);
  }

  #stop(mode: CommandOf<'stop'>['mode']): Promise<void> | void {
    if (mode === 'fence') return this.#fence();
    return this.#begin('stop', () => this.#adapter.stop(mode));
  }

  async #restart({ signal }: JobHandle): Promise<void> {
    await this.#adapter.rehearse();
    signal.throwIfAborted();
    await this.#adapter.stop('orderly');
    await this.#adapter.start(KEEP_END, signal);
  }

  /** Waits for the opening as long as it is short; a long one (much log to replay) goes on as a job, so that the agent stays awake. */
  async #promote(command: CommandOf<'promote'>, context: ClusterContext): Promise<void> {
    const begun = await this.#adapter.promote(command, context);
    if (begun === null) return;
    const opening = begun.finish();
    const inTime = opening.then(() => 'open' as const);
    const first = await Promise.race([inTime, delay(this.#shortOpeningMs, 'late' as const, { ref: false })]);
    if (first !== 'late') return;
    // What only writes makes room: an opening must be seen, and its failure kept.
    this.#jobs.abandon();
    this.#begin('promote', () => opening);
  }

  /** Whether a job is under way beside which nothing else may be done to the server or its files. */
  #isOccupied(): boolean {
    const { command } = this.#jobs;
    return command !== null && !harmless.has(command);
  }

  async maintain(context: ClusterContext): Promise<void> {
    if (this.#closing !== null || this.#isOccupied()) return;
    this.#maintaining ??= this.#maintain(context).finally(() => {
      this.#maintaining = null;
    });
    await this.#maintaining;
  }

  async #maintain(context: ClusterContext): Promise<void> {
    const configured = this.#turn.then(() =>
      this.#jobs.running === null && this.#closing === null ? this.#adapter.configure(context) : undefined,
    );
    this.#turn = configured.catch(() => undefined);
    // What fails here is said last, so that it does not hide the rest.
    const [first] = await Promise.allSettled([configured]);
    if (this.#closing === null) await this.#adapter.maintain(context);
    if (first.status === 'rejected') throw first.reason;
  }

  async #sendCopy(...[request, output, signal]: Parameters<NonNullable<Engine['sendCopy']>>): Promise<void> {
    const { member, server, outgoing } = this.#adapter;
    if (this.#isOccupied()) {
      const text = `${member} is busy (${this.#jobs.command}); the copy has to wait.`;
      throw new EngineError('ENGINE_BUSY', text);
    }
    if (this.#closing !== null || server.running === null) {
      throw new EngineError('ENGINE_CLONE_FAILED', `The server of ${member} does not run.`);
    }
    await outgoing?.send(request, output, signal);
  }

  listKept(): Promise<readonly KeptListing[]> {
    return this.#adapter.kept.list();
  }

  async removeKept(name: string): Promise<KeptListing> {
    // It may be read just now.
    await this.#adapter.background?.end();
    return this.#adapter.kept.remove(name);
  }

  close(server: 'leave-running' | 'stop'): Promise<void> {
    this.#closing ??= this.#close(server);
    return this.#closing;
  }

  async #close(server: 'leave-running' | 'stop'): Promise<void> {
    const adapter = this.#adapter;
    const { command } = this.#jobs;
    await adapter.probe.stop();
    await adapter.outgoing?.end('close');
    if (command !== null && deaf.has(command)) this.#jobs.abandon();
    else await this.#jobs.cancel();
    // A command that hangs loses its connection below.
    await Promise.race([this.#turn, delay(this.#patienceMs, undefined, { ref: false })]);
    await adapter.background?.end();
    await adapter.kept.close();
    if (server === 'stop') await adapter.stop('orderly').catch(() => adapter.server.kill());
    this.#life = 'closed';
    await this.#maintaining?.catch(() => undefined);
    await adapter.sql.close();
    adapter.server.detach();
  }

  /** A fence is carried out as long as there is a server to end; everything else only before the end of the engine has begun. */
  #requireOpen(command: EngineCommand): void {
    if (this.#closing === null || (isFence(command) && this.#life === 'open')) return;
    throw new EngineError('ENGINE_INTERNAL', 'The engine has been closed.');
  }
}

function isFence(command: EngineCommand): boolean {
  return command.kind === 'stop' && command.mode === 'fence';
}

function jobKind(command: CommandKind): EngineJob['kind'] {
  switch (command) {
    case 'restart':
      return 'stop';
    case 'provision':
      return 'checkpoint';
    case 'seal':
    case 'follow':
    case 'set-ack-rule':
      throw new EngineError('ENGINE_INTERNAL', `The command "${command}" is no job.`);
    default:
      return command;
  }
}

function cannotRewind(): EngineError {
  const text = 'This engine cannot rewind; a new copy is made instead.';
  return new EngineError('ENGINE_REWIND_FAILED', text);
}

function source(command: CommandOf<'clone' | 'rewind'>, { members }: ClusterContext): Member {
  const from = members.get(command.from);
  if (from !== undefined) return from;
  const text = `${command.from} is not among the members; its address is unknown.`;
  throw new EngineError('ENGINE_INTERNAL', text, { retry: 'safe' });
}
