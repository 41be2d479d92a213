import type { MemberView, StatusView } from '@understudy/agent/client';
import { formatDuration } from '../output/text.ts';

/** What a failover without proof to one member would lose, as far as anybody can know. */
export interface Loss {
  readonly member: string;
  /** What it holds. */
  readonly position: string | null;
  /** Furthest point that any member, the leader included, is known to have reached. */
  readonly furthest: { readonly member: string; readonly position: string } | null;
  /** Log between the two, in bytes; null when it cannot be measured. */
  readonly gapBytes: number | null;
  /** Whether the numbers are the whole truth: a leader that does not answer may have gone further than was seen. */
  readonly certainty: 'exact' | 'at-least';
  readonly lines: readonly string[];
}

/**
 * Compares what `to` holds with the furthest that is known.
 *
 * A member on an older or another timeline than the furthest cannot be measured in bytes: its gap is null, and the text says so.
 */
export function lossOf(status: StatusView, to: MemberView): Loss {
  const leader = status.members.find(({ id }) => id === status.leader) ?? null;
  const furthest = furthestOf(status, leader);
  const leaderAnswers = leader !== null && (leader.agent.kind === 'fresh' || leader.agent.kind === 'self');
  const certainty = leaderAnswers ? 'exact' : 'at-least';
  const gapBytes = gapOf(to, furthest);
  return {
    member: to.id,
    position: to.position,
    furthest: furthest?.position == null ? null : { member: furthest.id, position: furthest.position },
    gapBytes,
    certainty,
    lines: describe(status, to, leader, furthest, gapBytes, certainty),
  };
}

interface Point {
  readonly timeline: number;
  readonly lsn: bigint;
}

function pointOf(member: MemberView | null): Point | null {
  const [, timeline, high, low] = /^(\d+)@([0-9A-F]+)\/([0-9A-F]+)$/i.exec(member?.position ?? '') ?? [];
  if (timeline === undefined || high === undefined || low === undefined) return null;
  return { timeline: Number(timeline), lsn: (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`) };
}

/** On the newest timeline, the one that goes furthest. */
function furthestOf(status: StatusView, leader: MemberView | null): MemberView | null {
  const known = status.members.flatMap((member) => {
    const point = pointOf(member);
    return point === null ? [] : [{ member, point }];
  });
  const best = known.toSorted(
    (a, b) =>
      b.point.timeline - a.point.timeline || (b.point.lsn > a.point.lsn ? 1 : b.point.lsn < a.point.lsn ? -1 : 0),
  )[0];
  return best?.member ?? leader;
}

function gapOf(to: MemberView, furthest: MemberView | null): number | null {
  const own = pointOf(to);
  const far = pointOf(furthest);
  if (own === null || far === null || own.timeline !== far.timeline) return to.receiveLagBytes;
  return Number(far.lsn - own.lsn);
}

function describe(
  status: StatusView,
  to: MemberView,
  leader: MemberView | null,
  furthest: MemberView | null,
  gapBytes: number | null,
  certainty: Loss['certainty'],
): string[] {
  const lines = [`${to.id} ends at ${to.position ?? 'a position that is not known'}.`];
  if (furthest !== null && furthest.id !== to.id) {
    lines.push(`${furthest.id} is known to have reached ${furthest.position ?? 'a position that is not known'}.`);
  }
  if (gapBytes === null)
    lines.push('The distance between them cannot be measured: they are not on one timeline, or one is unknown.');
  else if (gapBytes === 0) lines.push(`${to.id} holds everything that is known.`);
  else
    lines.push(
      `${gapBytes} bytes of log that ${furthest?.id ?? 'another'} holds are not on ${to.id} and would be lost.`,
    );
  if (certainty === 'at-least' && leader !== null) lines.push(unheard(leader));
  const missing = status.rule?.members.filter((id) => !answers(status, id)) ?? [];
  if (missing.length > 0) {
    lines.push(`${missing.join(' and ')} may hold acknowledged writes that ${to.id} lacks, and cannot be asked now.`);
  }
  lines.push(
    'Writes that were acknowledged and are not on it are lost permanently; the other nodes are made to match it.',
  );
  return lines;
}

function unheard(leader: MemberView): string {
  const { agent } = leader;
  const since =
    agent.kind === 'silent' && agent.silentMs !== null
      ? ` for ${formatDuration(agent.silentMs)}`
      : agent.kind === 'refusing'
        ? ` for ${formatDuration(agent.forMs)}`
        : '';
  return `${leader.id}, which the record names as leader, has not been heard${since}. It may have written more than was seen.`;
}

function answers(status: StatusView, id: string): boolean {
  const kind = status.members.find((member) => member.id === id)?.agent.kind;
  return kind === 'fresh' || kind === 'self';
}
