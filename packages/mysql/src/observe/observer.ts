import { codeOf, monotonicMs } from '@understudy/base';
import {
  contains,
  type EngineState,
  type GtidPosition,
  type MemberId,
  type Receiver,
  relation,
  type SystemId,
} from '@understudy/core';
import type { MemberReport } from '@understudy/engine';
import { type Probe, type RunningServer, ServerWatch } from '@understudy/engine/host';
import { noteCounting } from '../commands/keep-counting.ts';
import { strangerWarning } from '../commands/strangers.ts';
import { isOpen } from '../dialect/dialect.ts';
import { readIdentity, systemIdOf } from '../disk/identity.ts';
import { inspectDisk, stoppedState } from '../disk/inspect.ts';
import type { Instance } from '../instance.ts';
import type { Session } from '../sql/session.ts';
import { ApplierWatch, applierWarning, shortText } from './applier.ts';
import type { Channel } from './channel.ts';
import { type Role, roleOf } from './opened.ts';
import { pauseAdvice } from './outside.ts';
import { type Reading, readPosition, syncsEachEvent } from './position.ts';
import { ReceiverWatch } from './receiver.ts';
import { ReplicaWatch } from './replicas.ts';

const queryTimeoutMs = 500;
const searchEveryMs = 500;
export type Reports = ReadonlyMap<MemberId, MemberReport>;

const closedWarning = `read_only (or super_read_only) was switched ON from outside on the leader: clients cannot write, and it goes on leading, as others still acknowledge to it. Run SET GLOBAL read_only = OFF to let them write. ${pauseAdvice}`;

/** A server that is not up yet has no socket, or nobody listens on it. */
function saysNotReady(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return ['ENOENT', 'ECONNREFUSED'].includes(codeOf(cause) ?? '');
}

/** Looks at the server several times a second and says what it sees as an `EngineState`. */
export class Observer {
  readonly #instance: Instance;
  readonly #watch: ServerWatch;
  #searchedMs = Number.NEGATIVE_INFINITY;
  readonly #receiver: ReceiverWatch;
  readonly #replicas: ReplicaWatch;
  readonly #applier = new ApplierWatch();
  /** What members said at the last look that was told. */
  #reports: Reports = new Map();
  /** Somebody else has closed the leader. */
  #closed = false;

  constructor(instance: Instance, probe: Probe) {
    this.#instance = instance;
    this.#receiver = new ReceiverWatch(instance);
    this.#replicas = new ReplicaWatch(instance);
    const { process: server, facts, starts, log, options, expected } = instance;
    const { dataDir } = options;
    this.#watch = new ServerWatch({
      server,
      facts,
      probe,
      starts,
      log,
      dataDir,
      find: async () => server.running ?? (await this.#foreign()),
      lookAtDisk: async () => stoppedState(dataDir, await inspectDisk(dataDir, expected)),
      mayBeStarting: ({ origin }, error) => origin === 'started' || saysNotReady(error),
      refusalOf: () => null,
    });
  }

  /**
   * A server that somebody started by hand, by its process: what counts as stopped receives nothing, and so as sealed. It takes a look at every
   * process of the host, so it is not taken each time.
   */
  async #foreign(): Promise<RunningServer | null> {
    const { process: server, facts, config } = this.#instance;
    if (monotonicMs() - this.#searchedMs < searchEveryMs) return null;
    this.#searchedMs = monotonicMs();
    const running = await server.adopt();
    if (running?.origin !== 'adopted') return running;
    await config.adopt();
    // Whoever started it may have let it receive before.
    facts.of(running.pid).received = 'unknown';
    return running;
  }

  /** What keeps this server from receiving and applying, for people. */
  get warnings(): readonly string[] {
    if (this.#instance.process.running === null) return [];
    const { error } = this.#applier;
    const strangers = this.#instance.acks.strangers(this.#instance.process.running.pid).map(strangerWarning);
    return [
      ...(this.#closed ? [closedWarning] : []),
      ...this.#receiver.warnings,
      ...(error === null ? [] : [applierWarning(error)]),
      ...strangers,
    ];
  }

  /** The running replica as it was when it was looked at last; null when it is none. */
  get seen(): Extract<EngineState, { kind: 'replica' }> | null {
    const last = this.#watch.last(this.#instance.process.running);
    return last?.kind === 'replica' ? last : null;
  }

  /** The present state; never throws. @param reports without them, what was said at the last look stands: silence would mean that nobody receives. */
  async observe(reports: Reports = this.#reports): Promise<EngineState> {
    this.#reports = reports;
    return this.#watch.observe((running) => this.#running(running, reports));
  }

  async #running(running: RunningServer, reports: Reports): Promise<EngineState> {
    const facts = this.#instance.facts.of(running.pid);
    const session = await this.#instance.sql.monitor(queryTimeoutMs);
    facts.answered = 'once';
    const [row] = await session.query('select @@global.read_only as ro', [], queryTimeoutMs);
    const isOpenNow = isOpen(row?.ro ?? '');
    const found = await this.#role(running, isOpenNow);
    // A leader that is being stopped closes first.
    if (facts.life === 'serving') facts.role = found.role;
    const systemId = await this.#instance.systemId();
    const reading = await readPosition(this.#instance, session);
    const { applied, received, channel, others } = reading;
    if (facts.role === 'replica') {
      this.#replicas.reset();
      const { upstream, receiver: stream } = await this.#receiver.look(session, channel, others);
      // What was received before a crash counts too, and the server itself may not know of it.
      const durable = facts.received === 'applied' ? await this.#durable(session, reading, facts.synced) : null;
      this.#instance.lag.look(received, applied);
      const blocked = await this.#blocked(session, reading);
      // What may still receive is never hidden behind what is damaged.
      const isCutOrKnown = upstream !== null || stream.kind !== 'streaming';
      const receiver = (isCutOrKnown ? damaged(facts.damage ?? this.#applier.damage()) : null) ?? stream;
      const seen = { kind: 'replica', systemId, position: durable, replayed: applied, upstream, receiver } as const;
      const state = facts.voids.length === 0 ? seen : { ...seen, voids: facts.voids };
      return blocked === null ? state : { ...state, blocked };
    }
    this.#noteReceiving(reading);
    this.#applier.look(null, 'nothing');
    this.#instance.lag.reset();
    const replicas = await this.#replicas.look(session, reports, applied);
    const acks = this.#instance.acks.state(running.pid);
    if (acks.running === null) await noteCounting(this.#instance, session);
    const voids = [...this.#instance.acks.voids(running.pid), ...facts.voids];
    const seen = { kind: 'primary', systemId, position: applied, acks, replicas } as const;
    const state = voids.length === 0 ? seen : { ...seen, voids };
    return found.by === 'outside' && isOpenNow ? { ...state, opened: 'outside' } : state;
  }

  /** What the server is by what its agents did, and what somebody else made of it, for people. */
  async #role(running: RunningServer, isOpenNow: boolean): Promise<Role> {
    const { opened, outside, facts } = this.#instance;
    const phase = await opened.of(running);
    const found = roleOf(phase, isOpenNow);
    if (facts.life !== 'serving') return found;
    if (isOpenNow && (phase === null || phase === 'opening')) await opened.set(running, 'open');
    this.#closed = found.by === 'outside' && !isOpenNow;
    if (found.by === 'outside' && isOpenNow) {
      const text =
        'read_only was switched OFF from outside on a server that its agent has not opened: it is ended, and starts again closed.';
      outside.note('opened', `${text} ${pauseAdvice}`);
    }
    return found;
  }

  /** A leader receives from nobody: what comes in beside its clients' writes is told, and left alone. */
  #noteReceiving({ channel, others }: Reading): void {
    const running = [channel, ...others].find((each) => each !== null && each.receiver !== 'stopped');
    if (running === undefined || running === null) return;
    const text = `This leader was told from outside to receive from ${running.host}:${running.port}: what that sends becomes part of the cluster's history. Stop it (STOP REPLICA, STOP SLAVE) if that is not wanted.`;
    this.#instance.outside.note('receives', `${text} ${pauseAdvice}`);
  }

  /**
   * What the server holds and would hold after a loss of power. Asked after its position was read: it is told to sync only when all that
   * it has received is on the disk.
   */
  async #durable(
    session: Session,
    { position, applied }: Reading,
    synced: GtidPosition | null,
  ): Promise<GtidPosition | null> {
    if (position === null || (await syncsEachEvent(session))) return position;
    return synced !== null && contains(synced, applied) ? synced : applied;
  }

  /** Why the server cannot apply what it has received; null when it can. */
  async #blocked(session: Session, { position, applied, channel }: Reading): Promise<string | null> {
    const detailed = await this.#withWorkersError(session, channel);
    const rest = position !== null && relation(position, applied) === 'equal' ? 'nothing' : 'something';
    const error = this.#applier.look(detailed, rest);
    return error === null ? null : `its applier is stopped by error ${error.number}: ${shortText(error.text)}`;
  }

  /** Where several workers apply, the channel only says that one of them failed. */
  async #withWorkersError(session: Session, channel: Channel | null): Promise<Channel | null> {
    const { workerErrors } = this.#instance.dialect;
    if (channel === null || channel.applierError === null || workerErrors === null) return channel;
    const [row] = await session.query(workerErrors, [], queryTimeoutMs);
    const text = row?.text ?? '';
    return text === '' ? channel : { ...channel, applierError: { number: Number(row?.number), text } };
  }
}

/** A replica whose relay log is damaged needs a new copy, whether or not more arrives. */
function damaged(why: string | null): Receiver | null {
  if (why === null) return null;
  return { kind: 'broken', cause: 'damaged', detail: `The relay log is damaged (${why}).` };
}

/** Reads the cluster's id once for each server that runs. */
export class SystemIdReader {
  #known: { readonly pid: number; readonly id: SystemId } | null = null;

  async read(dataDir: string, pid: number | null): Promise<SystemId> {
    if (this.#known !== null && this.#known.pid === pid) return this.#known.id;
    const identity = await readIdentity(dataDir);
    if (identity === null) throw new Error(`${dataDir} does not say whose it is`);
    if (pid !== null) this.#known = { pid, id: systemIdOf(identity) };
    return systemIdOf(identity);
  }
}
