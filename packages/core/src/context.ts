import type { Position } from './position/position.ts';
import type { Incarnation, MemberId } from './values/brand.ts';
import type { Command } from './values/command.ts';
import { type ClusterConfig, DEFAULT_CONFIG } from './values/config.ts';
import type { Memory } from './values/decision.ts';
import { DEFAULT_TAGS, type MemberTags } from './values/member.ts';
import type { LiveState, Observation, PeerView, StoreContent, Versioned } from './values/observation.ts';
import type { Reason, ReasonCode } from './values/reason.ts';
import type { LeadershipRecord, OperatorRequest, Seal } from './values/record.ts';

/** One decision in the making: the observation, what was remembered, and the store's content (fresh or last known). */
export interface Turn {
  readonly obs: Observation;
  readonly memory: Memory;
  readonly content: StoreContent;
  readonly config: ClusterConfig;
}

/** A turn in a cluster that has a leadership record. */
export interface LedTurn extends Turn {
  readonly record: Versioned<LeadershipRecord>;
}

/** What a rule of the protocol decides. A rule that does not apply returns null and the next one is asked. */
export interface Step {
  readonly commands: readonly Command[];
  readonly reason: Reason;
  readonly memory?: Partial<Memory>;
}

export type Rule<T extends Turn> = (turn: T) => Step | null;

export const reason = (code: ReasonCode, text: string): Reason => ({ code, text });

/** A step that does nothing, and says why. */
export function wait(code: ReasonCode, text: string, memory?: Partial<Memory>): Step {
  return { commands: [], reason: reason(code, text), ...(memory === undefined ? {} : { memory }) };
}

export function act(code: ReasonCode, text: string, commands: readonly Command[], memory?: Partial<Memory>): Step {
  return { commands, reason: reason(code, text), ...(memory === undefined ? {} : { memory }) };
}

/** The first step that one of the rules decides. */
export function firstOf<T extends Turn>(turn: T, rules: readonly Rule<T>[]): Step | null {
  for (const rule of rules) {
    const step = rule(turn);
    if (step !== null) return step;
  }
  return null;
}

export function configOf(content: StoreContent): ClusterConfig {
  return content.config?.value ?? DEFAULT_CONFIG;
}

export type Handover = Extract<OperatorRequest, { kind: 'switchover' | 'failover' }>;

/** The operator's request for another leader, if there is one and its time has come: of a scheduled one the leader alone says so. */
export function dueHandover(turn: Turn): Handover | null {
  const request = turn.content.request?.value;
  if (request?.kind === 'failover') return request;
  if (request?.kind !== 'switchover') return null;
  return request.notBeforeWallMs === null ? request : null;
}

/** Whether nobody is to be elected, stopped or started: the cluster is paused, and no operator asks for another leader. */
export function isPaused(turn: Turn): boolean {
  return turn.content.paused && dueHandover(turn) === null;
}

export function tagsOf(turn: Turn, member: MemberId): MemberTags {
  if (member === turn.obs.self) return turn.obs.tags;
  return turn.content.members.get(member)?.tags ?? DEFAULT_TAGS;
}

/** A peer's live state, if it is fresh enough to act on. */
export function freshPeer(turn: Turn, member: MemberId): LiveState | null {
  const peer = turn.obs.peers.get(member);
  return peer?.kind === 'fresh' ? peer.live : null;
}

/** How long nothing was heard of a peer; Infinity when never. */
export function peerSilenceMs(peer: PeerView | undefined): number {
  if (peer === undefined) return Number.POSITIVE_INFINITY;
  return peer.kind === 'refusing' ? peer.forMs : peer.silentMs;
}

/** The seals that count against the present leader: those of its own epoch. */
export function currentSeals(turn: LedTurn): ReadonlyMap<MemberId, Versioned<Seal>> {
  let found: Map<MemberId, Versioned<Seal>> | null = null;
  for (const [member, seal] of turn.content.seals) {
    if (seal.value.epoch !== turn.record.value.epoch) continue;
    found ??= new Map();
    found.set(member, seal);
  }
  return found ?? NO_SEALS;
}

/** Nearly every decision is made without a seal in sight. */
const NO_SEALS: ReadonlyMap<MemberId, Versioned<Seal>> = new Map();

export function ownSeal(turn: LedTurn): Versioned<Seal> | null {
  return currentSeals(turn).get(turn.obs.self) ?? null;
}

/**
 * This agent's session as the store shows it; null when it holds none, or another process holds it. What a write expects of it fails
 * when another agent of this name has begun: neither a dead process's delayed write nor a second member of the same name passes.
 */
export function heldSession(turn: Turn): Versioned<Incarnation> | null {
  const session = turn.content.sessions.get(turn.obs.self);
  return session?.value === turn.obs.incarnation ? session : null;
}

/** What a step says that must not be taken without the session. */
export function missingSession(): Step {
  return wait(
    'session-missing',
    "This agent does not hold its session in the store (yet); is another agent running under this member's name?",
  );
}

/** The position of this node's server if it is a fenced replica that has read its local log to the end; else null. */
export function ownReplicaPosition(turn: Turn): Position | null {
  return turn.obs.engine.kind === 'replica' ? turn.obs.engine.position : null;
}

/** The pauses after one failed start, and after more of them: what keeps a server from starting seldom goes away by itself. */
const START_AGAIN_MS = 1000;
const START_SELDOM_MS = 8000;

/** What the last start failed of, while it is too early for another one; null when the server may be started. */
export function startPause({ failures, engine }: Observation): Step | null {
  const failed = failures.filter((failure) => failure.command === 'start' || failure.command === 'restart');
  const last = failed.at(-1);
  if (last === undefined || last.agoMs >= (failed.length > 1 ? START_SELDOM_MS : START_AGAIN_MS)) return null;
  const words = (engine.kind === 'stopped' ? engine.startFailures?.words : undefined) ?? last.message.slice(0, 1000);
  return wait('start-failed', `The server did not start: ${words} It is tried again in some seconds.`);
}
