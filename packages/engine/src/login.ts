import type { LoginSlot, MemberId } from '@understudy/core';

/** What this member logs in with to replicate from another one, as its agent has it. */
export interface OwnLogins {
  /** Every password of its own that it may use now. */
  readonly passwords: readonly { readonly slot: LoginSlot; readonly password: string }[];
  /** Which of them that member's server takes; `shared`: the account of all members, with the password of the secrets file. */
  readonly at: (upstream: MemberId) => LoginSlot | 'shared';
}

/** What a server says of members' logins. */
export interface LoginsSeen {
  /** Of those that members have registered: which this server takes, as `loginKey`. */
  readonly accepted: readonly string[];
  /** What the stream of this replica has logged in with; `other`: an account that such logins are not for; null: nothing is streamed. */
  readonly streamsAs: LoginSlot | 'shared' | 'other' | null;
}

export const loginKey = (member: MemberId, id: string): string => `${member} ${id}`;
