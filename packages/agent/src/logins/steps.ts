/**
 * How a member goes from one login of its own to the next: the new one is registered beside the old one, used when the server that it
 * replicates from takes it, and the old one is left out when the stream has it. Pure.
 */

import type { LoginSlot, MemberId, MemberLogin, MemberLogins } from '@understudy/core';
import type { LoginsSeen } from '@understudy/engine';

export interface OwnLogin extends MemberLogin {
  readonly password: string;
}

/** What the member has of logins; kept in a file of its own. */
export interface LoginState {
  /** Oldest first: one, or two while they change. */
  readonly own: readonly OwnLogin[];
  readonly shared: MemberLogins['shared'];
  /** What was right at the server that it replicated from last; null: nothing yet. */
  readonly used: LoginSlot | 'shared' | null;
}

/** Ids of this member's logins that a server takes. `older`: its agent knows no logins of members. */
export type Taken = readonly string[] | 'older' | 'unknown';

export interface LoginFacts {
  /** Of the server that this member replicates from, or its own when it leads. */
  readonly taken: Taken;
  readonly leads: boolean;
  /** The server that this member replicates from; null: none. */
  readonly upstream: MemberId | null;
  readonly streamsAs: LoginsSeen['streamsAs'];
  /** Whether the agents of all members are of a version with logins: else one of the others may lead. */
  readonly everybodyHas: boolean;
}

/** @param hasData whether the server has replicated before, by the account that all share */
export const firstState = (login: OwnLogin, hasData: boolean): LoginState => ({
  own: [login],
  shared: hasData ? 'in-use' : 'left',
  used: null,
});

export const freeSlot = ({ own }: Pick<LoginState, 'own'>): LoginSlot => (own.at(-1)?.slot === 'a' ? 'b' : 'a');

export const isChanging = ({ own }: LoginState): boolean => own.length > 1;

/** Begins a rotation; one that is under way goes on as it is. */
export const begun = (state: LoginState, next: OwnLogin): LoginState =>
  isChanging(state) ? state : { ...state, own: [...state.own, next] };

type Login = LoginSlot | 'shared';

/** So long a login that is accepted may be without a stream while another one is open. */
export const patienceMs = 10_000;
const passedOverMs = 60_000;
const passedOverMaxMs = 3_600_000;

/** A login that was accepted, and with which no stream came: others are preferred until then. */
interface PassedOver {
  readonly login: Login;
  readonly untilMs: number;
  readonly times: number;
}

/** What was seen at the server that this member replicates from. Not kept in the file. */
export interface Attempts {
  readonly upstream: MemberId | null;
  readonly streamsAs: LoginsSeen['streamsAs'];
  /** What is chosen, and has brought no stream. */
  readonly waiting: { readonly login: Login; readonly sinceMs: number } | null;
  readonly passedOver: readonly PassedOver[];
}

export const noAttempts: Attempts = { upstream: null, streamsAs: null, waiting: null, passedOver: [] };

/** The attempts after a look: a login without a stream gives way to another one that is open, each time for longer. */
export function attempted(
  state: LoginState,
  before: Attempts,
  { upstream, streamsAs, taken }: LoginFacts,
  nowMs: number,
): Attempts {
  const past = before.upstream === upstream ? before : noAttempts;
  const passedOver = past.passedOver.filter(({ login }) => login !== streamsAs);
  const next = { upstream, streamsAs, waiting: null, passedOver };
  if (upstream === null || typeof taken === 'string') return next;
  const login = loginAt(state, taken, next, nowMs);
  if (login === streamsAs || streamsAs === 'other') return next;
  const sinceMs = past.waiting?.login === login ? past.waiting.sinceMs : nowMs;
  const isAlone = openAt(state, taken).every((other) => other === login);
  if (isAlone || nowMs - sinceMs < patienceMs) return { ...next, waiting: { login, sinceMs } };
  const times = passedOver.find((one) => one.login === login)?.times ?? 0;
  const untilMs = nowMs + Math.min(passedOverMs * 2 ** times, passedOverMaxMs);
  const others = passedOver.filter((one) => one.login !== login);
  return { ...next, passedOver: [...others, { login, untilMs, times: times + 1 }] };
}

/** What lets this member in at a server that takes these, the best first. */
function openAt({ own, shared }: LoginState, taken: readonly string[]): readonly Login[] {
  const usable = own.filter(({ id }) => taken.includes(id)).map(({ slot }) => slot);
  return [...usable.reverse(), ...(shared === 'in-use' ? (['shared'] as const) : [])];
}

/** With what to log in at a server that takes these. @param attempts at that server */
export function loginAt(state: LoginState, taken: Taken, attempts: Attempts = noAttempts, nowMs = 0): Login {
  const { own, used, shared } = state;
  if (taken === 'older') return 'shared';
  const streaming = own.find(({ slot }) => slot === attempts.streamsAs)?.slot;
  if (taken === 'unknown') {
    return streaming ?? used ?? (shared === 'in-use' ? 'shared' : (own.at(-1)?.slot ?? 'shared'));
  }
  const open = openAt(state, taken);
  // A stream that runs is not given up for an account of which the server says nothing.
  if (streaming !== undefined && open.every((login) => login === 'shared')) return streaming;
  const isPassedOver = (login: Login): boolean =>
    attempts.passedOver.some((one) => one.login === login && nowMs < one.untilMs);
  const best = open.find((login) => !isPassedOver(login)) ?? open[0];
  // None: it is made there in a moment. What was right elsewhere is likelier to be there already.
  return best ?? own.find(({ slot }) => slot === used)?.slot ?? own.at(-1)?.slot ?? 'shared';
}

/** The state after a look. */
export function advanced(state: LoginState, facts: LoginFacts, attempts: Attempts = noAttempts, nowMs = 0): LoginState {
  const { taken, leads, streamsAs, everybodyHas } = facts;
  const newest = state.own.at(-1);
  const used = taken === 'unknown' ? state.used : loginAt(state, taken, attempts, nowMs);
  const isTaken = newest !== undefined && typeof taken !== 'string' && taken.includes(newest.id);
  const isThere = isTaken && (leads || streamsAs === newest.slot || streamsAs === 'other');
  const shared = !everybodyHas ? 'in-use' : isThere ? 'left' : state.shared;
  return { own: isThere ? [newest] : state.own, shared, used };
}

/** What is registered: verifiers, no passwords. */
export const registered = ({ own, shared }: LoginState): MemberLogins => ({
  own: own.map(({ id, slot, verifier }) => ({ id, slot, verifier })),
  shared,
});
