import type { MemberId } from '../values/brand.ts';
import type { ClusterConfig } from '../values/config.ts';
import type { MemberTags } from '../values/member.ts';
import type { LeadershipPhase } from '../values/record.ts';
import { isFedBy } from './feeding.ts';
import { circleAmong } from './topology.ts';

/** What is known of a member, as its own agent says it. */
export interface MoveMember {
  readonly id: MemberId;
  readonly isHeard: boolean;
  /** The kind of its engine's state; `unknown` where it is not heard. */
  readonly state: string;
  /** Whom it is set to receive from, whether or not it does. */
  readonly upstream: MemberId | null;
  readonly isStreaming: boolean;
  readonly replayLagBytes: number | null;
  readonly tags: Pick<MemberTags, 'nosync' | 'nofailover'>;
}

export interface MoveView {
  readonly leader: MemberId | null;
  readonly phase: LeadershipPhase | 'none';
  readonly isPaused: boolean;
  readonly hasRequest: boolean;
  readonly members: readonly MoveMember[];
}

/** The part of the configuration that decides where members go. */
export type MoveSettings = Pick<ClusterConfig, 'upstreams' | 'requiredAcks' | 'durability' | 'ackerLagBytes'>;

/** Why a member cannot be moved there now. */
export type MoveObjection =
  | { readonly kind: 'paused' | 'no-open-leader' | 'other-request' }
  | { readonly kind: 'no-member' | 'unheard' | 'leads' | 'itself'; readonly member: MemberId }
  | { readonly kind: 'not-running'; readonly member: MemberId; readonly state: string }
  | { readonly kind: 'circle'; readonly upstream: MemberId; readonly circle: readonly string[] }
  | { readonly kind: 'not-fed'; readonly member: MemberId; readonly upstream: MemberId | null }
  | { readonly kind: 'lags'; readonly member: MemberId; readonly lagBytes: number }
  /** Too few would be left who acknowledge: `left`. */
  | { readonly kind: 'too-few-acks'; readonly left: readonly MemberId[] };

/** The wishes of the configuration after a move of `member` under `upstream`; null: under whoever leads. */
export function upstreamsAfter(
  upstreams: ClusterConfig['upstreams'],
  member: MemberId,
  upstream: MemberId | null,
): ClusterConfig['upstreams'] {
  const { [member]: _, ...others } = upstreams;
  return upstream === null ? others : { ...others, [member]: upstream };
}

/** Why `member` cannot be moved under `upstream` now (null: under whoever leads); null when it can. */
export function objectionToMove(
  view: MoveView,
  settings: MoveSettings,
  member: MemberId,
  upstream: MemberId | null,
): MoveObjection | null {
  const general = objectionToCluster(view) ?? objectionToMember(view, member);
  if (general !== null || upstream === null) return general;
  return objectionToUpstream(view, settings, member, upstream) ?? objectionToAcks(view, settings, member, upstream);
}

function objectionToCluster({ isPaused, phase, leader, hasRequest }: MoveView): MoveObjection | null {
  if (isPaused) return { kind: 'paused' };
  if (phase !== 'open' || leader === null) return { kind: 'no-open-leader' };
  return hasRequest ? { kind: 'other-request' } : null;
}

function objectionToMember(view: MoveView, member: MemberId): MoveObjection | null {
  const found = view.members.find(({ id }) => id === member);
  if (found === undefined) return { kind: 'no-member', member };
  return member === view.leader ? { kind: 'leads', member } : notRunning(found);
}

function notRunning({ id, isHeard, state }: MoveMember): MoveObjection | null {
  if (!isHeard) return { kind: 'unheard', member: id };
  return state === 'replica' ? null : { kind: 'not-running', member: id, state };
}

function objectionToUpstream(
  view: MoveView,
  settings: MoveSettings,
  member: MemberId,
  upstream: MemberId,
): MoveObjection | null {
  if (upstream === member) return { kind: 'itself', member };
  const found = view.members.find(({ id }) => id === upstream);
  if (found === undefined) return { kind: 'no-member', member: upstream };
  const circle = circleAmong(upstreamsAfter(settings.upstreams, member, upstream));
  if (circle !== null) return { kind: 'circle', upstream, circle };
  const idle = notRunning(found);
  if (idle !== null) return idle;
  if (view.leader === null || !isFedBy(view.leader, upstream, (id) => receivesFrom(view, id)))
    return { kind: 'not-fed', member: upstream, upstream: found.upstream };
  const lagBytes = found.replayLagBytes ?? 0;
  return lagBytes <= settings.ackerLagBytes ? null : { kind: 'lags', member: upstream, lagBytes };
}

function receivesFrom({ members }: MoveView, member: MemberId): MemberId | null {
  const found = members.find(({ id }) => id === member);
  return found?.isHeard === true && found.state === 'replica' && found.isStreaming ? found.upstream : null;
}

/** Acknowledgements count on the leader's own streams only. */
function objectionToAcks(
  view: MoveView,
  settings: MoveSettings,
  member: MemberId,
  upstream: MemberId,
): MoveObjection | null {
  if (settings.durability === 'async') return null;
  const after = upstreamsAfter(settings.upstreams, member, upstream);
  const left = view.members.filter(
    ({ id, tags }) =>
      id !== view.leader &&
      (after[id] === undefined || after[id] === view.leader) &&
      receivesFrom(view, id) === view.leader &&
      !tags.nosync &&
      !tags.nofailover,
  );
  return left.length >= settings.requiredAcks ? null : { kind: 'too-few-acks', left: left.map(({ id }) => id) };
}
