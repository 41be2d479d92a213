import type { MemberView, StatusView } from '@understudy/agent/client';
import { circleAmong, memberId } from '@understudy/core';
import { formatBytes } from '../output/text.ts';
import { isFed, receivesFrom } from './tree.ts';

/** Whom a member is to be moved under: a replica, or whoever leads. */
export type Destination = { readonly kind: 'leader' } | { readonly kind: 'replica'; readonly id: string };

/** The part of the configuration that decides where members go. */
export interface TreeSettings {
  readonly upstreams: Readonly<Record<string, string>>;
  readonly requiredAcks: number;
  readonly durability: string;
  readonly ackerLagBytes: number;
}

/** Why a move is refused, with the values seen, and what to do instead. */
export interface Objection {
  readonly why: string;
  readonly next: string;
  /** `soon`: it may be gone in a moment, as a stream that is just being made anew. */
  readonly passes?: 'soon';
}

/** `leader`, or the name of the present leader, as a destination. */
export function destinationOf(status: StatusView, under: string): Destination {
  return under === 'leader' || under === status.leader ? { kind: 'leader' } : { kind: 'replica', id: under };
}

/** The wishes of the configuration after a move. */
export function upstreamsAfter(settings: TreeSettings, node: string, to: Destination): Record<string, string> {
  const { [node]: _, ...others } = settings.upstreams;
  return to.kind === 'leader' ? others : { ...others, [node]: to.id };
}

/** Why `node` cannot be moved there now; null when it can. */
export function objectionToMove(
  status: StatusView,
  settings: TreeSettings,
  node: string,
  to: Destination,
): Objection | null {
  return (
    objectionToCluster(status) ??
    objectionToNode(status, node) ??
    (to.kind === 'leader' ? null : objectionToUpstream(status, settings, node, to.id)) ??
    (to.kind === 'leader' ? null : objectionToAcks(status, settings, node, to))
  );
}

const lookNext = 'See: understudy topology show';

function objectionToCluster(status: StatusView): Objection | null {
  if (status.paused) return { why: 'The cluster is paused.', next: 'Resume it first: understudy resume' };
  if (status.phase !== 'open' || status.leader === null)
    return { why: 'There is no open leader now.', next: 'See why: understudy explain' };
  if (status.request !== null)
    return { why: `Something else is under way: ${status.request.text}.`, next: 'Wait for it: understudy status' };
  return null;
}

function objectionToNode(status: StatusView, node: string): Objection | null {
  const member = status.members.find(({ id }) => id === node);
  if (member === undefined) return unknownMember(status, node);
  if (node === status.leader)
    return {
      why: `${node} leads, so it follows nobody.`,
      next: 'Let another node lead first: understudy switchover',
    };
  return notRunning(member);
}

function unknownMember(status: StatusView, name: string): Objection {
  const names = status.members.map(({ id }) => id).join(', ');
  return { why: `${name} is not a member of this cluster; its members are ${names}.`, next: lookNext };
}

function notRunning(member: MemberView): Objection | null {
  const { id, agent, state } = member;
  if (agent.kind !== 'self' && agent.kind !== 'fresh')
    return { why: `${id}'s agent is not heard.`, next: `See why: understudy explain ${id}` };
  if (state === 'replica') return null;
  return { why: `${id} is not a running replica: its server is ${state}.`, next: `See why: understudy explain ${id}` };
}

function objectionToUpstream(
  status: StatusView,
  settings: TreeSettings,
  node: string,
  upstream: string,
): Objection | null {
  if (upstream === node) return { why: `${node} cannot be under itself.`, next: lookNext };
  const member = status.members.find(({ id }) => id === upstream);
  if (member === undefined) return unknownMember(status, upstream);
  const after = upstreamsAfter(settings, node, { kind: 'replica', id: upstream });
  const circle = circleAmong(Object.fromEntries(Object.entries(after).map(([id, above]) => [id, memberId(above)])));
  if (circle !== null)
    return {
      why: `That would be a circle: ${circle.join(' under ')}.`,
      next: `Move ${upstream} first: understudy topology move ${upstream} --under leader`,
    };
  const idle = notRunning(member);
  if (idle !== null) return idle;
  if (receivesFrom(member) === null || !isFed(status, upstream))
    return {
      why: `${upstream} gets no stream that begins at ${status.leader} (it ${member.upstream === null ? 'follows nobody' : `follows ${member.upstream}`}).`,
      next: `See why: understudy explain ${upstream}`,
      passes: 'soon',
    };
  const lagBytes = member.replayLagBytes ?? 0;
  if (lagBytes <= settings.ackerLagBytes) return null;
  return {
    why: `${upstream} lags by ${formatBytes(lagBytes)}; nobody is moved under a member that lags by more than ${formatBytes(settings.ackerLagBytes)} (ackerLagBytes).`,
    next: `See what it does: understudy explain ${upstream}`,
  };
}

/** Acknowledgements count on the leader's own streams only. */
function objectionToAcks(status: StatusView, settings: TreeSettings, node: string, to: Destination): Objection | null {
  if (settings.durability === 'async') return null;
  const after = upstreamsAfter(settings, node, to);
  const left = status.members.filter(
    (member) =>
      member.id !== status.leader &&
      (after[member.id] === undefined || after[member.id] === status.leader) &&
      receivesFrom(member) === status.leader &&
      !member.tags.nosync &&
      !member.tags.nofailover,
  );
  if (left.length >= settings.requiredAcks) return null;
  const names = left.map(({ id }) => id).join(', ') || 'nobody';
  return {
    why: `Commits wait for ${settings.requiredAcks} (requiredAcks) of the members that follow the leader directly; without ${node} that would be ${names}.`,
    next: `Move another node to the leader first (understudy topology move NODE --under leader), or ask for fewer: understudy config set requiredAcks=${Math.max(1, left.length)}`,
    passes: 'soon',
  };
}
