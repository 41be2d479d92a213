import type { MemberId } from './brand.ts';

/** What an operator says about a member. */
export interface MemberTags {
  readonly nofailover: boolean;
  readonly nosync: boolean;
  readonly noloadbalance: boolean;
  /** Preferred among equals: higher first. */
  readonly priority: number;
  readonly zone: string | null;
  /** It applies what it receives this much later, on purpose; 0: at once. Such a member is tagged `nofailover` and `nosync` too. */
  readonly delayMs: number;
}

export const DEFAULT_TAGS: MemberTags = {
  nofailover: false,
  nosync: false,
  noloadbalance: false,
  priority: 100,
  zone: null,
  delayMs: 0,
};

/** One login of a member's own, with what a server stores of its password: who reads that can check the password, and not log in. */
export interface MemberLogin {
  /** Of this password and no other. */
  readonly id: string;
  /** Which of the member's two accounts it is for: a new password goes to the one that is free, so that both count for a while. */
  readonly slot: LoginSlot;
  readonly verifier: string;
}

export type LoginSlot = 'a' | 'b';

/** What a member replicates with. */
export interface MemberLogins {
  /** Oldest first; each is to be accepted wherever the member may replicate from. */
  readonly own: readonly MemberLogin[];
  /** Whether it may also use the account that all members share. */
  readonly shared: 'in-use' | 'left';
}

/** A member as registered in the store. */
export interface Member {
  readonly id: MemberId;
  /** Base address of its agent's HTTP API, e.g. `https://10.0.0.1:8008`. */
  readonly apiUrl: string;
  /** Where its database server listens. */
  readonly host: string;
  readonly port: number;
  readonly tags: MemberTags;
  /** Absent: its agent is of a version without, and uses the account that all members share. */
  readonly logins?: MemberLogins;
}
