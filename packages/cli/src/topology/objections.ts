import type { StatusView } from '@understudy/agent/client';
import { type MemberId, type MoveObjection, type MoveView, memberId, objectionToMove } from '@understudy/core';
import { formatBytes } from '../output/text.ts';

/** Whom a member is to be moved under: a replica, or whoever leads. */
export type Destination = { readonly kind: 'leader' } | { readonly kind: 'replica'; readonly id: string };

/** The part of the configuration that decides where members go. */
export interface TreeSettings {
  readonly upstreams: Readonly<Record<string, string>>;
  readonly requiredAcks: number;
  readonly durability: 'sync' | 'async';
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

/** A destination as `core` names it; null: whoever leads. */
export const upstreamOf = (to: Destination): MemberId | null => (to.kind === 'leader' ? null : memberId(to.id));

/** The wishes of the settings, by the names that `core` has for members. */
export const wishesOf = ({ upstreams }: TreeSettings): Readonly<Record<string, MemberId>> =>
  Object.fromEntries(Object.entries(upstreams).map(([id, above]) => [id, memberId(above)]));

/** Why `node` cannot be moved there now, in words; null when it can. */
export function refusalOfMove(
  status: StatusView,
  settings: TreeSettings,
  node: string,
  to: Destination,
): Objection | null {
  const wishes = { ...settings, upstreams: wishesOf(settings) };
  const objection = objectionToMove(viewOf(status), wishes, memberId(node), upstreamOf(to));
  return objection === null ? null : wordsOf(objection, status, settings, node);
}

function viewOf(status: StatusView): MoveView {
  return {
    leader: status.leader === null ? null : memberId(status.leader),
    phase: status.phase,
    isPaused: status.paused,
    hasRequest: status.request !== null,
    members: status.members.map(({ id, agent, state, upstream, receiver, replayLagBytes, tags }) => ({
      id: memberId(id),
      isHeard: agent.kind === 'self' || agent.kind === 'fresh',
      state,
      upstream: upstream === null ? null : memberId(upstream),
      isStreaming: receiver?.kind === 'streaming',
      replayLagBytes,
      tags,
    })),
  };
}

const lookNext = 'See: understudy topology show';
const explain = (member: string): string => `See why: understudy explain ${member}`;

function wordsOf(objection: MoveObjection, status: StatusView, settings: TreeSettings, node: string): Objection {
  switch (objection.kind) {
    case 'paused':
      return { why: 'The cluster is paused.', next: 'Resume it first: understudy resume' };
    case 'no-open-leader':
      return { why: 'There is no open leader now.', next: 'See why: understudy explain' };
    case 'other-request':
      return {
        why: `Something else is under way: ${status.request?.text ?? 'a request'}.`,
        next: 'Wait for it: understudy status',
      };
    case 'no-member': {
      const names = status.members.map(({ id }) => id).join(', ');
      const why = `${objection.member} is not a member of this cluster; its members are ${names}.`;
      return { why, next: lookNext };
    }
    case 'leads':
      return {
        why: `${objection.member} leads, so it follows nobody.`,
        next: 'Let another node lead first: understudy switchover',
      };
    case 'unheard':
      return { why: `${objection.member}'s agent is not heard.`, next: explain(objection.member) };
    case 'not-running': {
      const why = `${objection.member} is not a running replica: its server is ${objection.state}.`;
      return { why, next: explain(objection.member) };
    }
    case 'itself':
      return { why: `${objection.member} cannot be under itself.`, next: lookNext };
    case 'circle': {
      const { circle, upstream } = objection;
      const next = `Move ${upstream} first: understudy topology move ${upstream} --under leader`;
      return { why: `That would be a circle: ${circle.join(' under ')}.`, next };
    }
    case 'not-fed': {
      const { member, upstream } = objection;
      const follows = upstream === null ? 'follows nobody' : `follows ${upstream}`;
      const why = `${member} gets no stream that begins at ${status.leader} (it ${follows}).`;
      return { why, next: explain(member), passes: 'soon' };
    }
    case 'lags': {
      const limit = `${formatBytes(settings.ackerLagBytes)} (ackerLagBytes)`;
      return {
        why: `${objection.member} lags by ${formatBytes(objection.lagBytes)}; nobody is moved under a member that lags by more than ${limit}.`,
        next: `See what it does: understudy explain ${objection.member}`,
      };
    }
    case 'too-few-acks': {
      const { requiredAcks } = settings;
      const names = objection.left.join(', ') || 'nobody';
      const fewer = Math.max(1, objection.left.length);
      return {
        why: `Commits wait for ${requiredAcks} (requiredAcks) of the members that follow the leader directly; without ${node} that would be ${names}.`,
        next: `Move another node to the leader first (understudy topology move NODE --under leader), or ask for fewer: understudy config set requiredAcks=${fewer}`,
        passes: 'soon',
      };
    }
  }
}
