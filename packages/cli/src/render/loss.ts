import type { MemberView, StatusView } from '@understudy/agent/client';
import { decodePosition, type ForcedLoss, forcedLoss, type MemberId, memberId, type Position } from '@understudy/core';
import { formatDuration } from '../output/text.ts';

/** What a failover without proof to one member would lose, as far as anybody can know. */
export interface Loss {
  readonly member: string;
  /** What it holds. */
  readonly position: string | null;
  /** The member that holds most of what this one lacks, and where it is; null: nobody is known to. */
  readonly furthest: { readonly member: string; readonly position: string } | null;
  /** Log between the two, in bytes; null when it cannot be measured. */
  readonly gapBytes: number | null;
  /** Whether the numbers are the whole truth: a leader that does not answer may have gone further than was seen. */
  readonly certainty: 'exact' | 'at-least';
  readonly lines: readonly string[];
}

/** Shows what `core` finds in the positions that the members' agents report. */
export function lossOf(status: StatusView, to: MemberView): Loss {
  const leader = status.members.find(({ id }) => id === status.leader) ?? null;
  const leaderAnswers = leader !== null && (leader.agent.kind === 'fresh' || leader.agent.kind === 'self');
  const certainty = leaderAnswers ? 'exact' : 'at-least';
  const others = status.members.filter(({ id }) => id !== to.id);
  const found = forcedLoss(memberId(to.id), endsOf([to, ...others]));
  const holder = found.kind === 'lost' ? status.members.find(({ id }) => id === found.holder) : undefined;
  return {
    member: to.id,
    position: to.position,
    furthest: holder?.position == null ? null : { member: holder.id, position: holder.position },
    gapBytes: found.kind === 'lost' ? found.bytes : found.kind === 'nothing' ? 0 : null,
    certainty,
    lines: describe(status, to, leader, found, certainty),
  };
}

/** Where each member is known to have come. An agent of an older version does not say it in full. */
function endsOf(members: readonly MemberView[]): ReadonlyMap<MemberId, Position> {
  const ends = new Map<MemberId, Position>();
  for (const { id, encodedPosition } of members) {
    const end = encodedPosition == null ? null : decodePosition(encodedPosition);
    if (end !== null) ends.set(memberId(id), end);
  }
  return ends;
}

function describe(
  status: StatusView,
  to: MemberView,
  leader: MemberView | null,
  found: ForcedLoss,
  certainty: Loss['certainty'],
): string[] {
  const lines = [
    `${to.id} ends at ${to.position ?? 'a position that is not known'}.`,
    ...foundLines(status, to, found),
  ];
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

function foundLines(status: StatusView, to: MemberView, found: ForcedLoss): string[] {
  switch (found.kind) {
    case 'nothing':
      return [`${to.id} holds everything that is known of.`];
    case 'unknown':
      return [`What ${to.id} lacks cannot be measured: its position is not known.`];
    case 'lost': {
      const holder = status.members.find(({ id }) => id === found.holder);
      const reached = `${found.holder} is known to have reached ${holder?.position ?? 'a position that is not known'}.`;
      if (found.bytes === null)
        return [reached, 'The distance between them cannot be measured: their histories have parted.'];
      const about = found.position.kind === 'gtid' ? 'About ' : '';
      return [
        reached,
        `${about}${found.bytes} bytes of log that ${found.holder} holds are not on ${to.id} and would be lost.`,
      ];
    }
  }
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
