import { codeOf, monotonicMs, reasonOf } from '@understudy/base';
/** One agent: its parts wired together, its turns, and its pulse. */

import { mkdir } from 'node:fs/promises';
import {
  acknowledgesNow,
  type ClusterConfig,
  type Decision,
  decide,
  EMPTY_MEMORY,
  type Incarnation,
  isUrgent,
  type Member,
  type MemberId,
  type Memory,
  memberId,
  type Position,
  standingWarnings,
} from '@understudy/core';
import type { ClusterContext, Engine } from '@understudy/engine';
import type { Store } from '@understudy/store';
import { ChangeRecord } from '../access/audit.ts';
import type { Token } from '../access/tokens.ts';
import { CertificateWatch, certificateFiles } from '../certificates/watch.ts';
import { renewIntervalMs, tickMs } from '../config/cluster-config.ts';
import type { NodeConfig } from '../config/node-config.ts';
import { advertisedUrl } from '../config/node-file.ts';
import { plainWarnings } from '../config/plain.ts';
import type { GuardClient } from '../guard/client.ts';
import { LagMeter } from '../lag/meter.ts';
import type { MemberLoginFile } from '../logins/own-logins.ts';
import type { Taken } from '../logins/steps.ts';
import { execute } from '../loop/execute.ts';
import { Failures } from '../loop/failures.ts';
import { type Observed, observe, type Sources } from '../loop/observe.ts';
import { configOf, contentOf, makeReport } from '../loop/report.ts';
import { Runner } from '../loop/runner.ts';
import { Tempo } from '../loop/tempo.ts';
import { Upkeep } from '../loop/upkeep.ts';
import { EventHub } from '../peers/hub.ts';
import type { MemberSecret } from '../peers/introduction.ts';
import { PeerSet } from '../peers/peer-set.ts';
import type { PeerReport, StreamMessage } from '../peers/report.ts';
import type { PeerTls } from '../peers/stream.ts';
import { UnprovenMembers } from '../peers/unproven.ts';
import { DecisionRing, decisionShape } from '../ring/ring.ts';
import { Session } from '../session/session.ts';
import { StoreLink } from '../store/link.ts';
import { MemoryFile } from '../store/memory-file.ts';
import { NoteFile } from '../store/note-file.ts';
import { Noting } from '../store/noting.ts';
import { RunningClock } from '../time/clock.ts';
import { Guarding } from './guarding.ts';
import { placeWarnings } from './lock.ts';
import type { Logger } from './logger.ts';
import { prune, register } from './registration.ts';
import { serverIdOf } from './server-id.ts';

export interface AgentParts {
  readonly config: NodeConfig;
  readonly incarnation: Incarnation;
  readonly predecessors: readonly Incarnation[];
  readonly engine: Engine;
  readonly store: Store;
  readonly peerTls: PeerTls | null;
  /** Of the API; none: it takes no changes by token. */
  readonly tokens: readonly Token[];
  /** By which members know each other. */
  readonly memberSecret: MemberSecret;
  /** Null: members share one account for replication. */
  readonly logins: MemberLoginFile | null;
  /** Null when the configuration says `guard.mode: off`. */
  readonly makeGuard: ((runningMs: () => number) => GuardClient) | null;
  readonly log: Logger;
}

/** The last decision, with what it was made on. */
export interface Latest extends Observed {
  readonly decision: Decision;
  readonly report: PeerReport;
  /** Since when decisions have looked the same. */
  readonly sinceMs: number;
}

/** A process that lost this much time reads the store again before it decides anything. */
const STALL_MS = 750;

export class Agent {
  readonly self: MemberId;
  readonly incarnation: Incarnation;
  readonly engine: Engine;
  readonly link: StoreLink;
  readonly session: Session;
  readonly peers: PeerSet;
  /** Members that were refused a stream. */
  readonly unproven = new UnprovenMembers();
  readonly hub = new EventHub();
  #tokens: readonly Token[];
  /** Who changed what through this agent. */
  readonly changes: ChangeRecord;
  readonly logins: MemberLoginFile | null;
  readonly guard: GuardClient | null;
  readonly lag = new LagMeter();
  readonly certificates: CertificateWatch;
  #config: NodeConfig;
  readonly #log: Logger;
  readonly #clock = new RunningClock(250, monotonicMs());
  readonly #guarding: Guarding;
  readonly #failures = new Failures();
  readonly #tempo = new Tempo();
  readonly #runner = new Runner({ turn: () => this.#turn() });
  readonly #ring: DecisionRing;
  readonly #memoryFile: MemoryFile;
  readonly #noting: Noting;
  #memory: Memory = EMPTY_MEMORY;
  #latest: Latest | null = null;
  #pulse: NodeJS.Timeout | null = null;
  readonly #upkeep = new Upkeep();
  #stalledMs = 0;
  /** Since when the present turn has waited for something that is no command, in running time; null while it does not. */
  #waitsSince: number | null = null;
  #leaving: 'yes' | 'no' = 'no';
  #logged = '';
  /** For metrics. */
  readonly counters = { turns: 0, turnMs: 0, commands: 0, failures: 0, stalls: 0, copies: 0 };
  #followed: ReadonlyMap<MemberId, Member> | null = null;
  readonly #listeners = new Set<() => void>();
  readonly #placeWarnings: readonly string[];

  constructor(parts: AgentParts) {
    const { config, store } = parts;
    this.#config = config;
    this.#placeWarnings = placeWarnings(config);
    this.self = memberId(config.member);
    this.certificates = new CertificateWatch(certificateFiles(config));
    this.incarnation = parts.incarnation;
    this.engine = parts.engine;
    this.#log = parts.log;
    const stateDir = config.stateDir ?? config.runDir;
    this.#tokens = parts.tokens;
    this.logins = parts.logins;
    this.changes = new ChangeRecord(stateDir);
    this.#ring = new DecisionRing(stateDir, config.logs.decisionsBytes);
    this.#memoryFile = new MemoryFile(`${stateDir}/store-memory.json`);
    const runningMs = () => this.runningMs();
    const onChange = () => this.#runner.trigger();
    this.guard = parts.makeGuard?.(runningMs) ?? null;
    this.#guarding = new Guarding(this.guard, config.guard.watchdog?.mode ?? 'automatic', runningMs);
    this.link = new StoreLink({ store, runningMs, onContent: () => this.#onContent() });
    this.#noting = new Noting(new NoteFile(config.engine.dataDir, this.self), this.link);
    this.session = new Session({
      store,
      link: this.link,
      member: this.self,
      incarnation: parts.incarnation,
      predecessors: parts.predecessors,
      ttlMs: () => this.clusterConfig.leaseTtlMs,
      onChange,
    });
    this.peers = new PeerSet({
      self: this.self,
      tls: parts.peerTls,
      secret: parts.memberSecret,
      insecure: config.insecure,
      runningMs,
      freshMs: () => Math.min(3 * this.#clock.tickMs, this.clusterConfig.suspectAfterMs),
      onChange,
      onMessage: (member, message, report) => this.#onPeerMessage(member, message, report),
    });
  }

  /** Time in which this process was running, in ms. */
  runningMs(): number {
    return this.#clock.at(monotonicMs());
  }

  /** The node's own configuration, as it is in force. */
  get config(): NodeConfig {
    return this.#config;
  }

  /** Who may call the API with a token; none: it takes no changes by token. */
  get tokens(): readonly Token[] {
    return this.#tokens;
  }

  /** Takes over what `reloadOf` says can change at once, and the tokens as they are in their file now. */
  reconfigure(config: NodeConfig, tokens: readonly Token[]): void {
    this.#config = config;
    this.#tokens = tokens;
    this.#log.level = config.logs.level;
    // New tags are written to the store at the next turn.
    this.hasten();
  }

  get clusterConfig(): ClusterConfig {
    return this.link.decoded?.content.config?.value ?? configOf(null);
  }

  /** The last decision; null before the first. */
  get latest(): Latest | null {
    return this.#latest;
  }

  get member(): Member {
    const { config } = this;
    const { host, port } = config.engine.advertise ?? config.engine.listen;
    const logins = this.logins === null ? {} : { logins: this.logins.registered };
    return { id: this.self, apiUrl: advertisedUrl(config), host, port, tags: config.tags, ...logins };
  }

  /** Calls back whenever the store's content changed or a decision was taken. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Makes contact: store, session, peers. Nothing is decided yet. */
  async open(): Promise<void> {
    const { stateDir } = this.config;
    // What cannot be kept there is done without: the note in the data directory is what counts.
    if (stateDir !== undefined) await mkdir(stateDir, { recursive: true, mode: 0o700 }).catch(() => undefined);
    for (const remembered of [await this.#noting.load(), await this.#memoryFile.load()]) {
      if (remembered !== null) this.link.remember(remembered);
    }
    this.#setPulse();
    this.link.start();
    this.session.start();
  }

  /** Begins to decide and to act. */
  run(): void {
    this.guard?.start();
    this.engine.onChange(() => this.#runner.trigger());
    this.#runner.start();
  }

  trigger(): void {
    this.#runner.trigger();
  }

  /** Standing things are looked after at once, such as what others have to know of this member. */
  hasten(): void {
    this.#upkeep.hasten();
    this.#runner.trigger();
  }

  /**
   * Hands over what this member leads, as far as that is possible within `limitMs`, and takes nothing on any more. Everything goes on as
   * before meanwhile: turns, pulse, streams, guard.
   */
  async leave(limitMs: number): Promise<void> {
    this.#leaving = 'yes';
    await new Promise<void>((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        stop();
        resolve();
      };
      const timer = setTimeout(finish, limitMs);
      const stop = this.onChange(() => {
        if (this.latest?.decision.reasons[0]?.code === 'left') finish();
      });
      this.#runner.trigger();
    });
  }

  /** No decision is taken after this resolves. */
  async halt(): Promise<void> {
    await this.#runner.stop();
  }

  /** Ends everything but the engine and the guard. */
  async close(): Promise<void> {
    await this.halt();
    this.hub.close();
    await this.session.close();
    await this.link.stop();
    // Only now: what the store still says until then, such as the end of our own session, would set them going again.
    if (this.#pulse !== null) clearInterval(this.#pulse);
    this.peers.close();
    await Promise.all([this.#ring.close(), this.#memoryFile.close(), this.changes.close()]);
  }

  #setPulse(): void {
    if (this.#pulse !== null) clearInterval(this.#pulse);
    this.#clock.setTickMs(tickMs(this.clusterConfig));
    this.#pulse = setInterval(() => this.#beat(), this.#clock.tickMs);
  }

  #beat(): void {
    const now = monotonicMs();
    this.#noticeStall();
    this.#guarding.pulse();
    this.hub.beat(now, this.#waitsSince === null ? 0 : this.runningMs() - this.#waitsSince);
    this.peers.tick();
    this.#runner.trigger();
  }

  #onContent(): void {
    const { snapshot, decoded } = this.link;
    if (snapshot !== null && this.link.view().kind === 'current') this.#memoryFile.save(snapshot);
    if (decoded !== null && decoded.content.members !== this.#followed) {
      this.#followed = decoded.content.members;
      this.peers.follow(decoded.content.members);
      // A leader makes what a new member, or a new login, needs.
      this.#upkeep.hasten();
    }
    if (this.#pulse !== null && tickMs(this.clusterConfig) !== this.#clock.tickMs) this.#setPulse();
    this.#runner.trigger();
    this.#notify();
  }

  #onPeerMessage(member: MemberId, message: StreamMessage, report: PeerReport): void {
    // What it says may be that it takes a new login.
    if (message.kind === 'report' && this.logins?.isChanging === true) this.hasten();
    const leader = this.link.decoded?.content.record?.value.leader;
    if (member !== leader || report.live.engine.kind !== 'primary') return;
    const atMs = message.kind === 'report' ? message.atMs : message.beat.atMs;
    this.lag.sample(`${member} ${report.live.incarnation}`, report.live.engine.position, atMs, this.runningMs());
  }

  /** One turn: look, decide, tell, act. Never throws. */
  async #turn(): Promise<number> {
    const startedAt = monotonicMs();
    this.#waitsSince = this.runningMs();
    try {
      const observed = await this.#look();
      const { observation } = observed;
      const before = this.#memory;
      const decision = decide(observation, before);
      this.#memory = decision.memory;
      this.#ring.note(observation, before, decision);
      this.#tell(observed, decision);
      // Commands have deadlines of their own, and are waited for on purpose.
      this.#waitsSince = null;
      const end = await this.#act(observed, decision);
      this.#waitsSince = this.runningMs();
      await this.#noting.after(observation.engine, observation.job);
      if (end.kind === 'nothing-to-do') await this.#housekeep(observed);
      return this.#tempo.next(end, isUrgent(observation, decision), this.runningMs());
    } catch (error) {
      this.#log.error({ err: error }, 'a turn failed; this is a mistake in Understudy');
      return 1_000;
    } finally {
      this.#waitsSince = null;
      this.counters.turns++;
      this.counters.turnMs += monotonicMs() - startedAt;
    }
  }

  /** Looks at everything; once more if this process was stopped meanwhile, for then half of what was seen is of another time. */
  async #look(): Promise<Observed> {
    this.#noticeStall();
    if (this.#stalledMs > 0) await this.#afterStall();
    const observed = await observe(this.#sources());
    this.#noticeStall();
    if (this.#stalledMs === 0) return observed;
    await this.#afterStall();
    return observe(this.#sources());
  }

  #sources(): Sources {
    return {
      self: this.self,
      incarnation: this.incarnation,
      leaving: this.#leaving,
      tags: this.config.tags,
      engine: this.engine,
      link: this.link,
      session: this.session,
      peers: this.peers,
      noted: () => this.#noting.standing(),
      failures: this.#failures,
      onFailure: (command, code, message) => this.#log.warn({ command, code }, message),
      runningMs: () => this.runningMs(),
    };
  }

  /** Asked before and after everything that takes time: a process that is thawed may go on with its input before its timers. */
  #noticeStall(): void {
    const lostMs = this.#clock.tick(monotonicMs());
    if (lostMs > STALL_MS) this.#stalledMs = lostMs;
  }

  /** This process did not run for a while: what it knows of the store may be of another time. */
  async #afterStall(): Promise<void> {
    this.#log.warn({ lostMs: Math.round(this.#stalledMs) }, 'this process was not running for a while');
    this.#stalledMs = 0;
    this.counters.stalls++;
    // A failure makes the view stale, which is all that matters here.
    await this.link.refresh(Math.min(500, this.clusterConfig.leaseTtlMs / 4)).catch(() => undefined);
  }

  #tell(observed: Observed, decision: Decision): void {
    const { observation } = observed;
    const { engine } = observation;
    const { problem } = this.#noting;
    const warnings = [
      ...observed.details.warnings,
      ...standingWarnings(observation, decision.memory),
      ...this.certificates.warnings(Date.now()),
      ...plainWarnings(this.config),
      ...this.#placeWarnings,
      ...this.peers.warnings(),
      ...this.unproven.warnings(this.self, monotonicMs()),
      ...[problem, this.logins?.problem ?? null].filter((text) => text !== null),
    ];
    const details = { ...observed.details, warnings };
    const lag = engine.kind === 'replica' ? this.lag.lag(engine.replayed, this.runningMs()) : null;
    const report = makeReport(observation, decision, details, lag?.ms ?? null, this.link.known);
    const shape = decisionShape(decision);
    const isSame = shape === this.#logged;
    const now = monotonicMs();
    this.#latest = { ...observed, decision, report, sinceMs: isSame ? (this.#latest?.sinceMs ?? now) : now };
    this.hub.publish(report, now);
    this.#guarding.decided(observation, decision, details.processId, configOf(observation).leaseTtlMs);
    if (!isSame) this.#logDecision(observed, decision, shape);
    this.#notify();
  }

  #logDecision(observed: Observed, decision: Decision, shape: string): void {
    this.#logged = shape;
    const [reason] = decision.reasons;
    this.#log.info(
      {
        epoch: contentOf(observed.observation)?.record?.value.epoch ?? null,
        code: reason?.code,
        engine: observed.observation.engine.kind,
        commands: decision.commands.map((command) =>
          command.kind === 'commit' ? `commit: ${command.purpose}` : command.kind,
        ),
        ...(decision.suspects === null ? {} : { suspects: decision.suspects }),
      },
      reason?.text ?? '',
    );
  }

  #act(observed: Observed, decision: Decision) {
    const { observation, details, generation } = observed;
    const config = configOf(observation);
    return execute({
      commands: decision.commands,
      decidedAt: observation.now,
      generation,
      engine: this.engine,
      link: this.link,
      context: () => this.#context(config),
      commitDeadlineMs: Math.min(2_000, config.leaseTtlMs / 3),
      before: (command) => this.#noting.before(command, observation.engine, observation.job),
      // A server is opened for writes only with a guard that knows when to close it.
      beforePromotion: () => this.#guarding.arm(observation, details.processId, config.leaseTtlMs),
      onFailure: (command, code, message) => {
        this.counters.failures++;
        this.#failures.add(command, code, message, this.runningMs());
        this.#log.warn({ command, code }, message);
      },
      onDone: (command, tookMs) => {
        this.counters.commands++;
        this.#log.debug({ command: command.kind, tookMs }, 'command done');
      },
    });
  }

  #context(config: ClusterConfig): ClusterContext {
    const members = new Map(this.link.decoded?.content.members);
    members.set(this.self, this.member);
    const positions: ReadonlyMap<MemberId, Position> = this.peers.positions();
    const { parameters, synchronousCommit } = config;
    const acknowledges = this.#acknowledges();
    const logins = this.logins?.forEngine((upstream) => this.#loginsTakenAt(upstream));
    const context = { self: this.self, members, positions, parameters, synchronousCommit, acknowledges };
    return logins === undefined ? context : { ...context, logins };
  }

  #loginsTakenAt(member: MemberId): Taken {
    const report = this.peers.reports().get(member);
    if (report === undefined) return 'unknown';
    return report.extra.logins ?? (report.extra.loginsKept === 'yes' ? 'unknown' : 'older');
  }

  /** Goes on with a change of this member's logins. */
  async #advanceLogins({ observation, details }: Observed): Promise<void> {
    const members = contentOf(observation)?.members;
    if (this.logins === null || members === undefined) return;
    const { engine } = observation;
    const leads = engine.kind === 'primary';
    const upstream = engine.kind === 'replica' ? engine.upstream : null;
    const elsewhere = upstream === null ? 'unknown' : this.#loginsTakenAt(upstream);
    const everybodyHas = [...members.values()].every(({ id, logins }) => id === this.self || logins !== undefined);
    const taken = leads ? (details.logins?.accepted ?? 'unknown') : elsewhere;
    const streamsAs = details.logins?.streamsAs ?? null;
    await this.logins.advance({ taken, leads, upstream, streamsAs, everybodyHas });
  }

  #acknowledges(): 'yes' | 'no' {
    const content = this.link.decoded?.content;
    const record = content?.record?.value;
    const leader = record === undefined ? undefined : this.peers.views().get(record.leader);
    const engine = leader?.kind === 'fresh' ? leader.live.engine : null;
    return acknowledgesNow(content ?? null, this.self, engine) ? 'yes' : 'no';
  }

  /** Standing things, when nothing else is to be done. */
  async #housekeep(observed: Observed): Promise<void> {
    const now = this.runningMs();
    const record = this.link.decoded?.content.record ?? null;
    if (!this.#upkeep.isDue(record, this.#acknowledges(), now)) return;
    await this.certificates.look(now);
    const config = configOf(observed.observation);
    try {
      await this.#advanceLogins(observed);
      await this.#registerAndPrune(observed, config);
      const { engine, job } = observed.observation;
      const runs = engine.kind === 'primary' || engine.kind === 'replica';
      if (runs && job === null) await this.engine.maintain(this.#context(config));
    } catch (error) {
      this.#log.warn({ code: codeOf(error) ?? 'INTERNAL' }, `housekeeping: ${reasonOf(error)}`);
    }
  }

  async #registerAndPrune({ observation }: Observed, config: ClusterConfig): Promise<void> {
    if (observation.store.kind !== 'current' || this.session.state.kind !== 'held') return;
    const deadlineMs = renewIntervalMs(config);
    await register(this.link, this.member, serverIdOf(this.#config), deadlineMs);
    await prune(this.link, observation.store.content, this.self, deadlineMs);
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}
