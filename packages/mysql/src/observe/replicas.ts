import { contains, type GtidPosition, type MemberId, type Position, type ReplicaProgress } from '@understudy/core';
import type { MemberReport } from '@understudy/engine';
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

  constructor(instance: Pick<Instance, 'dialect' | 'acks' | 'nudge' | 'sizes' | 'process' | 'options'>) {
    this.#instance = instance;
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
    return progressOf(options.member, sample.readers, reports);
  }
}

const holds = (end: Position | null, position: GtidPosition): boolean => end !== null && contains(end, position);

/** The members that say that they receive from `self`, as far as `self` has a connection of theirs. */
export function progressOf(
  self: string,
  readers: readonly string[],
  reports: ReadonlyMap<MemberId, MemberReport>,
): readonly ReplicaProgress[] {
  const replicas: ReplicaProgress[] = [];
  for (const [member, { position, streamsFrom, silentMs }] of reports) {
    if (position === null || streamsFrom !== self) continue;
    // Everybody who does not acknowledge has the same account.
    if (!readers.includes(ackAccount(member)) && !readers.includes(accounts.copy)) continue;
    replicas.push({ member, kind: 'streaming', confirmed: position, silentMs });
  }
  return replicas;
}
