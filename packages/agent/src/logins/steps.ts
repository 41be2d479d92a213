/**
 * How a member goes from one login of its own to the next: the new one is registered beside the old one, used when the server that it
 * replicates from takes it, and the old one is left out when the stream has it. Pure.
 */

import type { LoginSlot, MemberLogin, MemberLogins } from '@understudy/core';
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

/** With what to log in at a server that takes these. */
export function loginAt({ own, used, shared }: LoginState, taken: Taken): LoginSlot | 'shared' {
  if (taken === 'older') return 'shared';
  if (taken === 'unknown') return used ?? (shared === 'in-use' ? 'shared' : (own.at(-1)?.slot ?? 'shared'));
  const usable = own.filter(({ id }) => taken.includes(id));
  const newest = usable.at(-1);
  if (newest !== undefined) return newest.slot;
  if (shared === 'in-use') return 'shared';
  // It is made there in a moment. What was right elsewhere is likelier to be there already.
  return own.find(({ slot }) => slot === used)?.slot ?? own.at(-1)?.slot ?? 'shared';
}

/** The state after a look. */
export function advanced(state: LoginState, facts: LoginFacts): LoginState {
  const { taken, leads, streamsAs, everybodyHas } = facts;
  const newest = state.own.at(-1);
  const used = taken === 'unknown' ? state.used : loginAt(state, taken);
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
