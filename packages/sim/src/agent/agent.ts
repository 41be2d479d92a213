import {
  acknowledgesNow,
  type Command,
  type CommandFailure,
  DEFAULT_CONFIG,
  type Decision,
  decide,
  EMPTY_MEMORY,
  type EngineState,
  type Epoch,
  elapsedMs,
  type Incarnation,
  incarnation,
  isToldAtOnce,
  type KillOrder,
  killOrderFor,
  type LiveState,
  type MemberId,
  type MemberTags,
  type Memory,
  type Ms,
  mayBeNoted,
  needsNote,
  type Observation,
  orderBeforeOpening,
  type PeerView,
  restsOn,
  type StorePut,
  type StoreSighting,
  sightingOf,
  UNDECIDED,
} from '@understudy/core';
import type { Trace } from '../run/trace.ts';
import type { Account, SimServer } from '../server/server.ts';
import type { SimStore } from '../store/sim-store.ts';
import type { HostClock } from '../time/clock.ts';
import type { Random } from '../time/random.ts';
import type { Scheduler } from '../time/scheduler.ts';
import { describeCommand } from './describe.ts';
import { SimEngine } from './engine.ts';
import { isSameLife, lifeOf, type ServerLife, type SimGuard } from './guard.ts';
import type { Ending } from './host.ts';
import { nameOf } from './observe.ts';
import type { SimPeers } from './peers.ts';
import { SimProcess } from './process.ts';
import { StoreSession } from './store-session.ts';

const TICK_MS = 250;
const RETRY_MS = 60;
/** However long the process was stopped between two ticks, it counts as running for at most this long. */
const RUN_CAP_MS = 500;
const HOUSEKEEPING_MS = 1000;
const FAILURES_KEPT_MS = 5000;
const PROBE_DEADLINE_MS = 300;
const LEAVE_LIMIT_MS = 20_000;

/** Faults that strike at a command. */
export interface CommandHooks {
  atCommand(node: number, command: Command, moment: 'before' | 'during' | 'after'): void;
}

export interface AgentHost {
  readonly index: number;
  readonly member: MemberId;
  readonly scheduler: Scheduler;
  readonly clock: HostClock;
  readonly random: Random;
  readonly server: SimServer;
  readonly store: SimStore;
  readonly peers: SimPeers;
  readonly guard: SimGuard;
  readonly trace: Trace;
  readonly hooks: CommandHooks;
  readonly canRewind: 'yes' | 'no';
  tags(): MemberTags;
  register(): readonly StorePut[];
  onDecision(decision: Decision): void;
  onLease(believedUntil: number, storeUntil: number): void;
}

/** The agent's shell around `decide`: observe, decide, execute; one command after the other, anew after every failure. */
export class SimAgent {
  readonly process: SimProcess;
  readonly #host: AgentHost;
  #incarnation: Incarnation = incarnation('none');
  #engine: SimEngine;
  #session: StoreSession | null = null;
  #memory: Memory = EMPTY_MEMORY;
  #failures: { readonly command: string; readonly at: Ms; readonly code: string }[] = [];
  #runMs = 0;
  #lastLook: Ms;
  #busy = false;
  #again = false;
  #wakePlanned = false;
  #lastReason = '';
  #housekeptAtRun = 0;
  #starts = 0;
  /** Told to end: called when nothing is left to hand over. */
  #left: (() => void) | null = null;
  #published: LiveState | null = null;
  /** What the guard is to enforce. */
  #order: KillOrder<ServerLife> = UNDECIDED;

  constructor(host: AgentHost) {
    this.#host = host;
    this.process = new SimProcess(host.scheduler, host.clock);
    this.#lastLook = this.process.localNow();
    this.#engine = this.#newEngine();
    host.server.onChange(() => this.wake());
  }

  /** What this agent said last; null before its first word. */
  get published(): LiveState | null {
    return this.#published;
  }

  get session(): StoreSession | null {
    return this.#session;
  }

  start(): void {
    const { member, store, index } = this.#host;
    this.#starts += 1;
    this.process.unfreeze();
    this.process.begin();
    this.#incarnation = incarnation(`${member}.${this.#starts}`);
    this.#memory = EMPTY_MEMORY;
    this.#published = null;
    this.#failures = [];
    this.#runMs = 0;
    this.#lastLook = this.process.localNow();
    this.#busy = false;
    this.#again = false;
    this.#wakePlanned = false;
    this.#lastReason = '';
    this.#housekeptAtRun = 0;
    this.#left = null;
    this.#order = UNDECIDED;
    this.#engine = this.#newEngine();
    this.#session = new StoreSession({
      store,
      node: index,
      process: this.process,
      member,
      incarnation: this.#incarnation,
      register: () => this.#host.register(),
      changed: () => this.wake(),
      onLease: (believedUntil, storeUntil) => this.#host.onLease(believedUntil, storeUntil),
    });
    this.#session.remember(this.#note()?.mark ?? this.#host.server.memory);
    this.#session.start();
    this.#keepTicking();
  }

  /** A process that answers those who connect, and never comes to its first look. */
  startMute(): void {
    this.process.unfreeze();
    this.process.begin();
  }

  /** The process ends without a word: its memory is lost, its jobs die with it, the server does not. */
  crash(): void {
    if (!this.process.alive) return;
    this.process.end();
    this.#session = null;
    this.#host.peers.agentEnded(this.#host.index);
  }

  /** SIGTERM: hands over what it leads, then `left`, once; after a while in any case. */
  leave(left: () => void): void {
    if (!this.process.alive || this.#left !== null) return;
    const once = (): void => {
      if (this.#left !== once) return;
      this.#left = null;
      left();
    };
    this.#left = once;
    this.process.later(LEAVE_LIMIT_MS, once);
    this.wake();
  }

  /** Something that matters may have changed: look in a moment. */
  wake(): void {
    if (!this.process.alive || this.#wakePlanned) return;
    this.#wakePlanned = true;
    this.process.later(this.#host.random.between(0.5, 4), () => {
      this.#wakePlanned = false;
      this.#look();
    });
  }

  /** What the watch brought. */
  deliver(content: Parameters<StoreSession['deliver']>[0], revision: number): void {
    const { process } = this;
    process.runIn(process.life, () => this.#session?.deliver(content, revision));
  }

  /** What stands in the data directory; nothing where there is no data. */
  #note(): SimServer['note'] {
    const { server } = this.#host;
    if (server.disk !== 'data') server.note = null;
    return server.note;
  }

  /** Notes the newest leadership: before a command that relies on it, and whenever a turn ends. */
  #noteNewest(engine: EngineState): void {
    const session = this.#session;
    const noted = this.#note();
    if (session === null || session.known === null || session.content === null || session.refused) return;
    this.#host.server.memory = session.known;
    if (this.#host.server.disk !== 'data') return;
    if (!mayBeNoted(session.known, noted === null ? null : sightingOf(noted.mark), engine)) return;
    this.#host.server.note = { mark: session.known, content: session.content };
  }

  /** Notes what `command` rests on; false when that has not been read from the store. */
  #notesFor(command: Command): boolean {
    const session = this.#session;
    const known = session?.view(this.#runMs).kind === 'current' ? session.known : null;
    if (known === null || !restsOn(command, known)) return false;
    this.#noteNewest(this.#engine.observe(this.#runMs, this.#peers()));
    return this.#note()?.mark === known;
  }

  #newEngine(): SimEngine {
    return new SimEngine(this.#host.server, {
      later: (delayMs, action) => this.process.later(delayMs, action),
      localNow: () => this.process.localNow(),
      jobEnded: (command, ending) => {
        if (ending !== null) this.#fail(command, ending);
        this.wake();
      },
    });
  }

  #keepTicking(): void {
    this.#host.guard.beat(this.#order);
    this.#look();
    this.process.later(TICK_MS, () => this.#keepTicking());
  }

  /** One turn, unless one is under way; then another follows it. */
  #look(): void {
    if (!this.process.alive || this.#session === null) return;
    if (this.#busy) {
      this.#again = true;
      return;
    }
    const { server } = this.#host;
    const now = this.process.localNow();
    this.#runMs += Math.min(elapsedMs(this.#lastLook, now), RUN_CAP_MS);
    this.#lastLook = now;
    if (server.running && (server.frozen || server.hung)) {
      // The probe runs into its deadline; the decision that follows still bears the time of the look.
      this.#busy = true;
      this.process.later(PROBE_DEADLINE_MS, () => {
        this.#busy = false;
        this.#decide(now);
      });
      return;
    }
    this.#decide(now);
  }

  #decide(now: Ms): void {
    const observation = this.#observe(now);
    const decision = decide(observation, this.#memory);
    this.#memory = decision.memory;
    this.#orderKill(observation, decision);
    this.#host.onDecision(decision);
    this.#publish(observation.engine, decision, observation);
    this.#explain(decision);
    if (this.#left !== null && decision.reasons[0]?.code === 'left') {
      this.#left();
      return;
    }
    if (this.#engine.job() === null) this.#noteNewest(observation.engine);
    if (decision.commands.length > 0) this.#run(decision.commands, 0);
    else if (this.#host.server.flavour !== 'postgres') this.#housekeep();
  }

  /** What a decision means for the server's life. */
  #orderKill(observation: Observation, { authority }: Decision): void {
    const { guard, server } = this.#host;
    const { engine, now } = observation;
    const before = this.#order;
    const seen = { engine, authority, server: lifeOf(server), now, leaseTtlMs: this.#leaseTtlMs() };
    this.#order = killOrderFor(seen, before, isSameLife);
    if (isToldAtOnce(before, this.#order, isSameLife)) guard.beat(this.#order);
  }

  #tellGuardOfOpening(): void {
    const leaseUntil = this.#session?.leaseUntil ?? null;
    const now = this.process.localNow();
    this.#order = orderBeforeOpening(lifeOf(this.#host.server), leaseUntil, now, this.#leaseTtlMs());
    this.#host.guard.beat(this.#order);
  }

  #leaseTtlMs(): number {
    return (this.#session?.content?.config?.value ?? DEFAULT_CONFIG).leaseTtlMs;
  }

  /** What the agent does for its engine about once a second, while nothing else is to be done. */
  #housekeep(): void {
    if (this.#runMs - this.#housekeptAtRun < HOUSEKEEPING_MS) return;
    this.#housekeptAtRun = this.#runMs;
    this.#busy = true;
    this.#engine.maintain(this.#account(), () => this.#finish(null));
  }

  /** As whom this member's server follows, as far as this agent knows: its view of the store may be old. */
  #account(): Account {
    const content = this.#session?.content;
    const record = content?.record?.value;
    const leader = record === undefined ? undefined : this.#peers().get(record.leader);
    const engine = leader?.kind === 'fresh' ? leader.live.engine : null;
    return acknowledgesNow(content ?? null, this.#host.member, engine) ? 'ack' : 'copy';
  }

  #observe(now: Ms): Observation {
    const host = this.#host;
    const session = this.#session;
    const peers = this.#peers();
    const engine = this.#engine.observe(this.#runMs, peers);
    return {
      now,
      wallMs: host.clock.wall(host.scheduler.now),
      self: host.member,
      incarnation: this.#incarnation,
      ...(this.#left === null ? {} : { leaving: 'yes' }),
      tags: host.tags(),
      engineName: host.server.flavour,
      store: session === null ? { kind: 'never' } : session.view(this.#runMs),
      engine,
      job: this.#engine.job(),
      canRewind: host.canRewind,
      peers,
      authority: { leaseUntil: session?.leaseUntil ?? null },
      failures: this.#recentFailures(now),
      noted: sightingOrNull(this.#note()),
    };
  }

  #peers(): ReadonlyMap<MemberId, PeerView> {
    const views = new Map<MemberId, PeerView>();
    const { server, peers, index } = this.#host;
    const members = this.#session?.content?.members;
    for (const other of server.world.servers) {
      if (other.index === index || members?.has(nameOf(other.index)) !== true) continue;
      views.set(nameOf(other.index), peers.view(other.index, index, this.#runMs));
    }
    return views;
  }

  #recentFailures(now: Ms): readonly CommandFailure[] {
    if (this.#failures.length === 0) return NO_FAILURES;
    this.#failures = this.#failures.filter((failure) => elapsedMs(failure.at, now) <= FAILURES_KEPT_MS);
    return this.#failures.map((failure) => ({
      command: failure.command,
      agoMs: elapsedMs(failure.at, now),
      code: failure.code,
      message: failure.code,
    }));
  }

  #publish(engine: EngineState, decision: Decision, observation: Observation): void {
    const { peers, index, member } = this.#host;
    this.#published = {
      member,
      incarnation: this.#incarnation,
      epoch: epochOf(observation),
      engine,
      suspects: decision.suspects,
      ...(observation.leaving === 'yes' ? { leaving: 'yes' } : {}),
      leaderPosition: decision.memory.leaderPosition,
      ...seenBy(this.#session),
    };
    peers.publish(index, this.#published);
  }

  #explain(decision: Decision): void {
    const { trace, member } = this.#host;
    if (!trace.on) return;
    const [reason] = decision.reasons;
    if (reason === undefined || reason.code === this.#lastReason) return;
    this.#lastReason = reason.code;
    trace.note(member, `${reason.code}: ${reason.text}`);
  }

  #run(commands: readonly Command[], index: number): void {
    const command = commands[index];
    if (command === undefined) {
      this.#finish(null);
      return;
    }
    this.#busy = true;
    const { hooks, random } = this.#host;
    const { process } = this;
    const { life } = process;
    hooks.atCommand(this.#host.index, command, 'before');
    if (process.life !== life) return;
    process.later(random.between(0.2, 2), () => {
      this.#execute(command, (ending) => {
        this.#traceCommand(command, ending);
        hooks.atCommand(this.#host.index, command, 'after');
        if (process.life !== life) return;
        process.runIn(life, () => {
          if (ending === null) this.#run(commands, index + 1);
          else {
            this.#fail(command.kind, ending);
            this.#finish(ending);
          }
        });
      });
      hooks.atCommand(this.#host.index, command, 'during');
    });
  }

  #execute(command: Command, done: (ending: Ending) => void): void {
    if (command.kind === 'commit') {
      const session = this.#session;
      if (session === null) {
        done('STORE_CLOSED');
        return;
      }
      session.commit(command, (ending) => done(ending === 'committed' ? null : `STORE_${ending.toUpperCase()}`));
      return;
    }
    // Between two commands the record may have changed.
    if (needsNote(command) && !this.#notesFor(command)) {
      done('NOTE_UNKNOWN');
      return;
    }
    // The guard must know of a primary before there is one: nobody might be left to tell it later.
    if (command.kind === 'promote') this.#tellGuardOfOpening();
    this.#engine.execute(command, this.#account(), done);
  }

  /** After a success the next look follows at once, after a failure a moment later. */
  #finish(ending: Ending): void {
    this.#busy = false;
    if (ending === null || this.#again) this.wake();
    else this.process.later(RETRY_MS, () => this.wake());
    this.#again = false;
  }

  #fail(command: string, code: string): void {
    this.#failures.push({ command, at: this.process.localNow(), code });
    if (this.#failures.length > 20) this.#failures.shift();
  }

  #traceCommand(command: Command, ending: Ending): void {
    const { trace, member } = this.#host;
    if (!trace.on) return;
    trace.note(member, `  ${describeCommand(command)}${ending === null ? '' : ` -> ${ending}`}`);
  }
}

const NO_FAILURES: readonly CommandFailure[] = [];

function epochOf(observation: Observation): Epoch | null {
  return observation.store.kind === 'never' ? null : (observation.store.content.record?.value.epoch ?? null);
}

const sightingOrNull = (note: SimServer['note']): StoreSighting | null =>
  note === null ? null : sightingOf(note.mark);

function seenBy(session: StoreSession | null): { readonly seen?: StoreSighting } {
  const known = session?.known ?? null;
  return known === null ? {} : { seen: sightingOf(known) };
}
