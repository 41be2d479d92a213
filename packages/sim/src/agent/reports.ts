import type { MemberId, PeerView, Position, ReplicaProgress } from '@understudy/core';
import { memberName } from '../server/acks.ts';
import type { SimServer } from '../server/server.ts';

/** What another member's agent said last of its own server: the `MemberReport` of packages/engine. */
interface MemberReport {
  readonly position: Position | null;
  readonly streamsFrom: MemberId | null;
  readonly silentMs: number;
}

/** As packages/agent does: nothing of a peer that is not fresh, or whose server does not run as a replica. */
function reportOf(view: PeerView): MemberReport | null {
  if (view.kind !== 'fresh' || view.live.engine.kind !== 'replica') return null;
  const { position, receiver, upstream } = view.live.engine;
  return { position, streamsFrom: receiver.kind === 'streaming' ? upstream : null, silentMs: view.silentMs };
}

/** As packages/mysql does: those that say that they receive from this server, as far as it has a connection of theirs. */
export function reportedProgress(
  server: SimServer,
  peers: ReadonlyMap<MemberId, PeerView>,
): readonly ReplicaProgress[] {
  const self = memberName(server);
  const copies = server.senders.some(({ account }) => account === 'copy');
  const acking = new Set(server.senders.filter(({ account }) => account === 'ack').map(({ sink }) => memberName(sink)));
  const replicas: ReplicaProgress[] = [];
  for (const [member, view] of peers) {
    const report = reportOf(view);
    if (report === null || report.position === null || report.streamsFrom !== self) continue;
    if (!acking.has(member) && !copies) continue;
    replicas.push({ member, kind: 'streaming', confirmed: report.position, silentMs: Math.round(report.silentMs) });
  }
  return replicas;
}
