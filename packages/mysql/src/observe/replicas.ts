import { monotonicMs } from '@understudy/base';
import { contains, type GtidPosition, type MemberId, type Position, type ReplicaProgress } from '@understudy/core';
import type { MemberReport } from '@understudy/engine';
import type { Instance } from '../instance.ts';
import { accounts, ackAccount } from '../names.ts';
import type { Session } from '../sql/session.ts';
import { AckCount } from './ack-count.ts';
import type { AckSample } from './ack-tracker.ts';
import { sampleAcks } from './sources.ts';

type Reports = ReadonlyMap<MemberId, MemberReport>;

/**
 * A leader's look at its replicas. The server itself says only which accounts receive its log: how far each replica has come is the word of
 * the replica's own agent.
 */
export class ReplicaWatch {
  readonly #instance: Pick<Instance, 'dialect' | 'acks' | 'nudge' | 'sizes' | 'process' | 'options'>;

  #past = new PastPositions();
  readonly #count = new AckCount();

  constructor(instance: Pick<Instance, 'dialect' | 'acks' | 'nudge' | 'sizes' | 'process' | 'options'>) {
    this.#instance = instance;
  }

  /** The server does not lead: where it was as a leader says nothing about the next time. */
  reset(): void {
    this.#past = new PastPositions();
  }

  async look(
    session: Session,
    reports: ReadonlyMap<MemberId, MemberReport>,
    position: GtidPosition,
  ): Promise<readonly ReplicaProgress[]> {
    const { dialect, acks, nudge, sizes, process: server, options } = this.#instance;
    const sample = await sampleAcks(session, dialect, position);
    const pid = server.running?.pid ?? null;
    if (pid !== null) {
      acks.seen(pid, sample, this.#reporting(pid, reports));
      await this.#keepCount(session, pid, sample, reports);
    }
    const { rule } = acks;
    const counted = (rule?.members ?? []).filter((member) => sample.readers.includes(ackAccount(member)));
    const holdingAll = counted.filter((member) => holds(reports.get(member)?.position ?? null, position));
    // The server may be told to wait for more than the rule says.
    const required = rule?.required ?? sample.required;
    nudge.consider({ ...sample, required }, { connected: counted.length, holdingAll: holdingAll.length });
    await sizes.look(session, dialect, position);
    const nowMs = monotonicMs();
    const then = this.#past.at(position, nowMs);
    return progressOf(options.member, sample.readers, reports, (end) => contains(end, then));
  }

  /** How many members of the rule say that they receive from here. (Where a kill ends no wait, that does not matter.) */
  #reporting(pid: number, reports: Reports): number {
    const { dialect, acks, options } = this.#instance;
    if (dialect.semiSync.required !== null) return Number.POSITIVE_INFINITY;
    const heard = (acks.wanted(pid)?.members ?? []).filter((member) => {
      const { streamsFrom, silentMs } = reports.get(member) ?? {};
      return streamsFrom === options.member && silentMs !== undefined && silentMs < silentAfterMs;
    });
    return heard.length;
  }

  async #keepCount(session: Session, pid: number, sample: AckSample, reports: Reports): Promise<void> {
    const { dialect, acks } = this.#instance;
    const rule = acks.wanted(pid);
    const said = (rule?.members ?? []).flatMap((member) => {
      const { position, streamsFrom } = reports.get(member) ?? {};
      return position && streamsFrom === this.#instance.options.member ? [[member, position] as const] : [];
    });
    const proof = acks.rule === null ? 'changing' : 'proven';
    await this.#count.keep(session, dialect, sample, rule, new Map(said), proof);
    acks.confirmed(
      pid,
      said.map(([, position]) => position),
    );
  }
}

/** Longer than a busy agent takes for a report. */
const silentAfterMs = 3000;

const holds = (end: Position | null, position: GtidPosition): boolean => end !== null && contains(end, position);

/** What a replica lags by that keeps up: a second of syncing (`keepSynced`), one of its report's way, and one for a busy machine. */
const nearMs = 3000;

/** Where this server was a while ago. */
export class PastPositions {
  #marks: { readonly atMs: number; readonly position: GtidPosition }[] = [];

  /** Notes the present position. @returns the one of `nearMs` ago, or the oldest that is known. */
  at(position: GtidPosition, nowMs: number): GtidPosition {
    this.#marks.push({ atMs: nowMs, position });
    const old = this.#marks.findLastIndex(({ atMs }) => nowMs - atMs >= nearMs);
    if (old > 0) this.#marks = this.#marks.slice(old);
    return this.#marks[0]?.position ?? position;
  }
}

/**
 * The members that say that they receive from `self`, as far as `self` has a connection of theirs. Who does not acknowledge yet is catching
 * up until it is near: acknowledging costs it so much that it might never get there.
 */
export function progressOf(
  self: string,
  readers: readonly string[],
  reports: ReadonlyMap<MemberId, MemberReport>,
  isNear: (position: Position) => boolean,
): readonly ReplicaProgress[] {
  const replicas: ReplicaProgress[] = [];
  for (const [member, { position, streamsFrom, silentMs }] of reports) {
    if (position === null || streamsFrom !== self) continue;
    const acknowledges = readers.includes(ackAccount(member));
    // Everybody who does not acknowledge has the same account.
    if (!acknowledges && !readers.includes(accounts.copy)) continue;
    const kind = acknowledges || isNear(position) ? 'streaming' : 'catching-up';
    replicas.push({ member, kind, confirmed: position, silentMs });
  }
  return replicas;
}
