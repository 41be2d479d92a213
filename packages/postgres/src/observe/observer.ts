import { codeOf, reasonOf } from '@understudy/base';
import {
  contains,
  type EngineState,
  type Lsn,
  type MemberId,
  memberId,
  type Position,
  parseLsn,
  type Receiver,
  type ReplicaProgress,
  shortened,
  systemId,
  type WalPosition,
} from '@understudy/core';
import { EngineError } from '@understudy/engine';
import { type Probe, type RunningServer, ServerWatch, SilenceMeter } from '@understudy/engine/host';
import { receiverMark } from '../config/settings.ts';
import { inspectDisk, stoppedState } from '../disk/inspect.ts';
import { readSpoiled } from '../disk/opened.ts';
import { newestTimelineAt, readHistory } from '../disk/wal.ts';
import type { Instance } from '../instance.ts';
import { receiversOf } from '../process/receivers.ts';
import { missing } from '../sql/local.ts';
import { type PgSession, type Row, sqlStateOf } from '../sql/session.ts';
import { parkedBy } from './parked.ts';
import {
  checkpointerIsReady,
  type Identification,
  identify,
  primaryQuery,
  replicaQuery,
  startupIsAtEnd,
  waitsQuery,
} from './query.ts';
import { ReceiverLog } from './receiver-log.ts';
import type { RunFacts } from './run-facts.ts';
import { foreignText, isForeignAcker, memberOfStream } from './senders.ts';
import { askForStream, StreamAttempt } from './stream-attempt.ts';

/** A server that is not up yet has no socket, refuses, or says so (57P03); anything else is silence. */
function saysNotReady(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return sqlStateOf(error) === '57P03' || ['ENOENT', 'ECONNREFUSED'].includes(codeOf(cause) ?? '');
}

/** What a server says that lives and lets its agent in nowhere; null for silence, and for a server that starts or stops. */
function refusalOf(error: unknown): string | null {
  const state = sqlStateOf(error);
  return state === undefined || state.startsWith('57P') ? null : `${reasonOf(error).slice(0, 500)} (${state})`;
}

const voidsOf = ({ voids }: RunFacts): Pick<Extract<EngineState, { kind: 'primary' }>, 'voids'> =>
  voids === null || voids.length === 0 ? {} : { voids };

const queryTimeoutMs = 500;

interface Upstream {
  readonly member: MemberId | null;
  readonly stream: 'none' | 'own' | 'foreign';
}

type WalProgress = ReplicaProgress & { readonly confirmed: WalPosition };

/** Looks at the server several times a second and says what it sees as an `EngineState`. */
export class Observer {
  readonly #instance: Instance;
  readonly #watch: ServerWatch;
  readonly receiverLog: ReceiverLog;
  readonly attempt: StreamAttempt;
  readonly #replicas = new SilenceMeter<MemberId>();
  readonly #receiver = new SilenceMeter<'receiver'>();
  readonly #histories = new Map<number, WalPosition>();
  constructor(instance: Instance, probe: Probe) {
    this.#instance = instance;
    this.receiverLog = new ReceiverLog(instance.paths.log);
    this.attempt = new StreamAttempt((member, from) => askForStream(instance, member, from));
    const { postmaster: server, facts, starts, log, options } = instance;
    this.#watch = new ServerWatch({
      server,
      facts,
      probe,
      starts,
      log,
      dataDir: options.dataDir,
      // One that somebody started by hand is found by its process.
      find: async () => server.running ?? (await server.adopt()),
      lookAtDisk: () => this.#onDisk(),
      mayBeStarting: (_, error) => saysNotReady(error),
      refusalOf,
    });
  }

  /** The present state; never throws. */
  observe(): Promise<EngineState> {
    return this.#watch.observe((running) => this.#running(running));
  }

  async #onDisk(): Promise<EngineState> {
    this.#histories.clear();
    const { options, expected, config } = this.#instance;
    const state = await stoppedState(options.dataDir, await inspectDisk(options.dataDir, expected));
    // An end is an end only while nobody can go on from there: not our start alone, any start must be sealed.
    const isEnd = state.kind !== 'stopped' || state.position === null || (await config.isSealedAtRest());
    return isEnd ? state : { ...state, position: null };
  }

  async #running(running: RunningServer): Promise<EngineState> {
    const facts = this.#instance.facts.of(running.pid);
    const session = await this.#instance.sql.monitor(queryTimeoutMs);
    facts.answered = 'once';
    const firstQuery = facts.role === 'primary' ? primaryQuery : replicaQuery;
    let rows = await session.rows(firstQuery, queryTimeoutMs);
    const role = rows[0]?.recovery === 't' ? 'replica' : 'primary';
    if (role !== facts.role && (role === 'primary' || firstQuery === primaryQuery)) {
      rows = await session.rows(role === 'primary' ? primaryQuery : replicaQuery, queryTimeoutMs);
    }
    if (rows[0]?.privileged === 'f') {
      // Masked columns look like a server that nobody follows. The next look comes in by another door.
      this.#instance.sql.cut();
      throw new EngineError('ENGINE_UNREACHABLE', "The agent's session is not a superuser's any more.");
    }
    facts.role = role;
    if (facts.localLog === 'unread' || facts.waiting === 'unknown') await this.#lookAtWaits(running, session);
    // Asked last: a position read before the receiver was seen could be older than what it says.
    const identified = await identify(session, queryTimeoutMs);
    return role === 'primary'
      ? this.#primary(running, identified, rows)
      : this.#replica(running, session, identified, rows[0] ?? {});
  }

  async #lookAtWaits(running: RunningServer, session: PgSession): Promise<void> {
    const facts = this.#instance.facts.of(running.pid);
    const rows = await session.rows(waitsQuery, queryTimeoutMs);
    if (facts.role === 'primary' || startupIsAtEnd(rows)) facts.localLog = 'read';
    if (running.origin === 'started' && facts.role === 'replica' && checkpointerIsReady(rows)) facts.waiting = 'armed';
  }

  async #replica(
    running: RunningServer,
    session: PgSession,
    identified: Identification,
    row: Row,
  ): Promise<EngineState> {
    const facts = this.#instance.facts.of(running.pid);
    const upstream = await this.#upstreamOf(running, row);
    if (row.status === 'streaming') {
      // The startup process asks for a receiver only after it has read the local log to its end.
      facts.localLog = 'read';
    }
    const spoiled = await readSpoiled(this.#instance.options.dataDir);
    const replayedLsn = parseLsn(row.replayed ?? '') ?? identified.lsn;
    const parked = row.pause === 'paused' ? await parkedBy(session, this.#instance.options.dataDir) : null;
    const end = await this.#position(identified.timeline, identified.lsn);
    return {
      kind: 'replica',
      systemId: systemId(identified.systemId),
      position: facts.localLog === 'read' && spoiled === null ? await this.#durable(identified, row) : null,
      replayed: await this.#position(identified.timeline, replayedLsn),
      upstream: upstream.member,
      receiver:
        spoiled === null || upstream.stream !== 'none'
          ? await this.#receiverOf(row, upstream, end)
          : { kind: 'broken', cause: 'damaged', detail: spoiled },
      ...(parked === null ? {} : { parked, blocked: parked }),
      ...(spoiled === null ? {} : { blocked: 'it was opened by hand' }),
      ...voidsOf(facts),
    };
  }

  /**
   * Whom the server receives from. `foreign`: it shows a connection string that is not of our include, or has a receiver although it shows none:
   * whatever that one confirms, and to whom, this server is not cut, also in a moment in which nothing streams.
   */
  async #upstreamOf(running: RunningServer, row: Row): Promise<Upstream> {
    const conninfo = row.conninfo ?? '';
    if (conninfo === '') {
      const receivers = await receiversOf(running.pid);
      return { member: null, stream: receivers.length > 0 || row.status !== null ? 'foreign' : 'none' };
    }
    const member = row.upstream ?? '';
    if (member === '' || row.mark !== receiverMark(conninfo)) return { member: null, stream: 'foreign' };
    return { member: memberId(member), stream: 'own' };
  }

  /**
   * Everything durable on a replica. `IDENTIFY_SYSTEM` leaves out what was received on a newer timeline than the one being
   * replayed: a running receiver names that timeline, and after one that has gone the files of the log do.
   */
  async #durable(identified: Identification, row: Row): Promise<Position | null> {
    const streaming = row.status === 'streaming';
    const received = parseLsn((streaming ? row.flushed_lsn : row.received) ?? '');
    const replayed = await this.#position(identified.timeline, identified.lsn);
    if (received === null || received <= identified.lsn) return replayed;
    const { dataDir } = this.#instance.options;
    const timeline = streaming ? Number(row.received_tli) : await newestTimelineAt(dataDir, received);
    if (timeline === null) return null;
    const position = await this.#position(timeline, received);
    return contains(position, replayed) ? position : null;
  }

  async #receiverOf(row: Row, { member, stream }: Upstream, end: WalPosition): Promise<Receiver> {
    this.#receiver.look();
    if (stream === 'none') {
      this.attempt.reset();
      return { kind: 'none' };
    }
    if (stream === 'foreign') {
      return { kind: 'streaming', silentMs: this.#receiver.silentMs('receiver', row.signature ?? '') };
    }
    if (row.status === 'streaming') {
      this.attempt.sawStream();
      await this.receiverLog.healed();
      return { kind: 'streaming', silentMs: this.#receiver.silentMs('receiver', row.signature ?? '') };
    }
    const found = member === null ? null : this.attempt.look(member, end);
    const cause = await this.receiverLog.cause();
    return found === null || cause !== 'unknown' ? { kind: 'broken', cause } : { kind: 'broken', ...found };
  }

  async #primary(running: RunningServer, identified: Identification, rows: readonly Row[]): Promise<EngineState> {
    const position = await this.#position(identified.timeline, identified.lsn);
    this.#replicas.look();
    const replicas: WalProgress[] = [];
    for (const row of rows) {
      const progress = this.#progress(row, position);
      const twin = replicas.findIndex((other) => other.member === progress?.member);
      if (progress === null) continue;
      // A stream that died unnoticed may linger beside its successor: the one that is further counts.
      if (twin < 0) replicas.push(progress);
      else if (progress.confirmed.lsn >= (replicas[twin]?.confirmed.lsn ?? 0n)) replicas[twin] = progress;
    }
    this.#replicas.keep(new Set(replicas.map((replica) => replica.member)));
    const names = rows[0]?.names ?? '';
    const { acks: tracker, config } = this.#instance;
    const foreign = rows.filter((row) => isForeignAcker(config.membership, row, names));
    if (foreign.length > 0) this.#instance.notices.add(foreignText(foreign));
    tracker.noteForeign(running.pid, foreign.length > 0 ? foreignText(foreign) : null, position, (until) => {
      const rule = tracker.provenRule;
      const holding = replicas.filter(
        ({ member, confirmed }) => rule?.members.includes(member) === true && contains(confirmed, until),
      );
      return rule !== null && holding.length >= rule.required;
    });
    const acks = tracker.state(running.pid, names);
    return {
      kind: 'primary',
      systemId: systemId(identified.systemId),
      position,
      acks,
      replicas,
      ...voidsOf(this.#instance.facts.of(running.pid)),
    };
  }

  #progress(row: Row, primary: WalPosition): WalProgress | null {
    const member = memberOfStream(this.#instance.config.membership, row);
    if (member === null || member === this.#instance.options.member) return null;
    const columns = { on: 'flush_lsn', remote_apply: 'replay_lsn', remote_write: 'write_lsn', local: 'flush_lsn' };
    const confirmed = parseLsn(row[columns[this.#instance.config.synchronousCommit]] ?? '');
    if (confirmed === null) return null;
    return {
      member,
      kind: row.state === 'streaming' ? 'streaming' : 'catching-up',
      confirmed: { ...primary, lsn: confirmed },
      silentMs: this.#replicas.silentMs(member, row.signature ?? ''),
    };
  }

  async #position(timeline: number, at: Lsn): Promise<WalPosition> {
    let line = this.#histories.get(timeline);
    if (line === undefined) {
      const history = await readHistory(this.#instance.options.dataDir, timeline);
      if (history === null) throw missing(`history of timeline ${timeline}`);
      line = shortened({ kind: 'wal', timeline, lsn: at, history });
      this.#histories.set(timeline, line);
    }
    return { ...line, lsn: at };
  }
}
