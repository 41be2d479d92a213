import type { Position } from './position/position.ts';
import type { Incarnation, MemberId } from './values/brand.ts';
import type { Command } from './values/command.ts';
import { type ClusterConfig, DEFAULT_CONFIG } from './values/config.ts';
import type { Memory } from './values/decision.ts';
import { DEFAULT_TAGS, type MemberTags } from './values/member.ts';
import type { LiveState, Observation, PeerView, StoreContent, Versioned } from './values/observation.ts';
import type { Reason, ReasonCode } from './values/reason.ts';
import type { LeadershipRecord, OperatorRequest, Seal } from './values/record.ts';

/** What one decision is made on: the observation, what was remembered, and the store's content (fresh or last known). */
export interface Context {
  readonly obs: Observation;
  readonly memory: Memory;
  readonly content: StoreContent;
  readonly config: ClusterConfig;
}

/** The context in a cluster that has a leadership record. */
export interface ClusterContext extends Context {
  readonly record: Versioned<LeadershipRecord>;
}

/** What a handler decides: commands, why, and what to remember. */
export interface Action {
  readonly commands: readonly Command[];
  readonly reason: Reason;
  readonly memory?: Partial<Memory>;
}

/** One case of the protocol. Null: it does not apply, and the next handler is asked. */
export type Handler<T extends Context> = (ctx: T) => Action | null;

export const reason = (code: ReasonCode, text: string): Reason => ({ code, text });

/** Does nothing, and says why. */
export function wait(code: ReasonCode, text: string, memory?: Partial<Memory>): Action {
  return { commands: [], reason: reason(code, text), ...(memory === undefined ? {} : { memory }) };
}

export function act(code: ReasonCode, text: string, commands: readonly Command[], memory?: Partial<Memory>): Action {
  return { commands, reason: reason(code, text), ...(memory === undefined ? {} : { memory }) };
}

/** What the first handler decides that applies; null when none does. */
export function firstApplicable<T extends Context>(ctx: T, handlers: readonly Handler<T>[]): Action | null {
  for (const handler of handlers) {
    const action = handler(ctx);
    if (action !== null) return action;
  }
  return null;
}

export function configOf(content: StoreContent): ClusterConfig {
  return content.config?.value ?? DEFAULT_CONFIG;
}

/** Whether an operator's request waits to be carried out; one that is scheduled for later does not yet. */
export function hasDueRequest({ request }: StoreContent): boolean {
  return request !== null && (request.value.kind !== 'switchover' || request.value.notBeforeWallMs === null);
}

export type Handover = Extract<OperatorRequest, { kind: 'switchover' | 'failover' }>;

/** The operator's request for another leader, if there is one and its time has come: of a scheduled one the leader alone says so. */
export function dueHandover(ctx: Context): Handover | null {
  const request = ctx.content.request?.value;
  if (request?.kind === 'failover') return request;
  if (request?.kind !== 'switchover') return null;
  return request.notBeforeWallMs === null ? request : null;
}

/** Whether nobody is to be elected, stopped or started: the cluster is paused, and no operator asks for another leader. */
export function isPaused(ctx: Context): boolean {
  return ctx.content.paused && dueHandover(ctx) === null;
}

export function tagsOf(ctx: Context, member: MemberId): MemberTags {
  if (member === ctx.obs.self) return ctx.obs.tags;
  return ctx.content.members.get(member)?.tags ?? DEFAULT_TAGS;
}

/** A peer's live state, if it is fresh enough to act on. */
export function freshPeer(ctx: Context, member: MemberId): LiveState | null {
  const peer = ctx.obs.peers.get(member);
  return peer?.kind === 'fresh' ? peer.live : null;
}

/** How long nothing was heard of a peer; Infinity when never. */
export function peerSilenceMs(peer: PeerView | undefined): number {
  if (peer === undefined) return Number.POSITIVE_INFINITY;
  return peer.kind === 'refusing' ? peer.forMs : peer.silentMs;
}

/** The seals that count against the present leader: those of its own epoch. */
export function currentSeals(ctx: ClusterContext): ReadonlyMap<MemberId, Versioned<Seal>> {
  let found: Map<MemberId, Versioned<Seal>> | null = null;
  for (const [member, seal] of ctx.content.seals) {
    if (seal.value.epoch !== ctx.record.value.epoch) continue;
    found ??= new Map();
    found.set(member, seal);
  }
  return found ?? NO_SEALS;
}

/** Nearly every decision is made without a seal in sight. */
const NO_SEALS: ReadonlyMap<MemberId, Versioned<Seal>> = new Map();

export function ownSeal(ctx: ClusterContext): Versioned<Seal> | null {
  return currentSeals(ctx).get(ctx.obs.self) ?? null;
}

/**
 * This agent's session as the store shows it; null when it holds none, or another process holds it. What a write expects of it fails
 * when another agent of this name has begun: neither a dead process's delayed write nor a second member of the same name passes.
 */
export function heldSession(ctx: Context): Versioned<Incarnation> | null {
  const session = ctx.content.sessions.get(ctx.obs.self);
  return session?.value === ctx.obs.incarnation ? session : null;
}

/** What an action says that must not be taken without the session. */
export function missingSession(): Action {
  return wait(
    'session-missing',
    "This agent does not hold its session in the store (yet); is another agent running under this member's name?",
  );
}

/** The position of this node's server if it is a fenced replica that has read its local log to the end; else null. */
export function ownReplicaPosition(ctx: Context): Position | null {
  return ctx.obs.engine.kind === 'replica' ? ctx.obs.engine.position : null;
}

/** The pauses after one failed start, and after more of them: what keeps a server from starting seldom goes away by itself. */
const START_AGAIN_MS = 1000;
const START_SELDOM_MS = 8000;

/** What the last start failed of, while it is too early for another one; null when the server may be started. */
export function startPause({ failures, engine }: Observation): Action | null {
  const failed = failures.filter((failure) => failure.command === 'start' || failure.command === 'restart');
  const last = failed.at(-1);
  if (last === undefined || last.agoMs >= (failed.length > 1 ? START_SELDOM_MS : START_AGAIN_MS)) return null;
  const words = (engine.kind === 'stopped' ? engine.startFailures?.words : undefined) ?? last.message.slice(0, 1000);
  return wait('start-failed', `The server did not start: ${words} It is tried again in some seconds.`);
}
