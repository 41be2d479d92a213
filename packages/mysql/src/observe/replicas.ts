import { contains, type GtidPosition, type MemberId, type Position, type ReplicaProgress } from '@understudy/core';
import type { MemberReport } from '@understudy/engine';
import { monotonicMs } from '@understudy/engine/host';
import type { Instance } from '../instance.ts';
import { accounts, ackAccount } from '../names.ts';
import type { Session } from '../sql/session.ts';
import { sampleAcks } from './sources.ts';

/**
 * A leader's look at its replicas. The server itself says only which accounts receive its log: how far each replica has come is the word of
 * the replica's own agent.
 */
export class ReplicaWatch {
  readonly #instance: Pick<Instance, 'dialect' | 'acks' | 'nudge' | 'sizes' | 'process' | 'options'>;

  #past = new PastPositions();

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
    if (server.running !== null) acks.seen(server.running.pid, sample);
    const counted = (acks.rule?.members ?? []).filter((member) => sample.readers.includes(ackAccount(member)));
    const holdingAll = counted.filter((member) => holds(reports.get(member)?.position ?? null, position));
    nudge.consider(sample, { connected: counted.length, holdingAll: holdingAll.length });
    await sizes.look(session, dialect, position);
    const nowMs = monotonicMs();
    const then = this.#past.at(position, nowMs);
    return progressOf(options.member, sample.readers, reports, (end) => contains(end, then));
  }
}

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
