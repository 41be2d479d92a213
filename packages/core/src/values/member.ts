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

/** A member as registered in the store. */
export interface Member {
  readonly id: MemberId;
  /** Base address of its agent's HTTP API, e.g. `https://10.0.0.1:8008`. */
  readonly apiUrl: string;
  /** Where its database server listens. */
  readonly host: string;
  readonly port: number;
  readonly tags: MemberTags;
}
