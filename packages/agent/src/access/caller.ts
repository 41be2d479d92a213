/** Who calls, and what that allows. Pure: what a request shows goes in, with what this agent knows. */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { Member, MemberId } from '@understudy/core';
import { bareHost, isLoopback } from '../config/address.ts';
import type { Token } from './tokens.ts';

/** Each may do what the ones before it may. */
export const ROLES = ['view', 'operate', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** What a path asks of its caller. `member`: only agents of the cluster; `watch`: they, and who may look. */
export type Need = 'open' | Role | 'watch' | 'member';

/** What the holder of a certificate of the API's authority may do; `member`: it is an agent's. */
export interface CertificateRule {
  /** Common name, DNS name or address in the certificate. */
  readonly name: string;
  readonly role: Role | 'member';
}

/** What a request shows of its sender. */
export interface Shown {
  /** IP address of the other end. */
  readonly address: string;
  readonly bearer: string | null;
  /** The member whose secret it has proven to hold, by `peers/introduction.ts`. */
  readonly proven: MemberId | null;
  /** A certificate that the authority of `api.tls` signed. */
  readonly certificate: Certificate | null;
  /** A web page had a part in it. */
  readonly isFromBrowser: boolean;
}

export interface Certificate {
  readonly commonName: string | null;
  /** Whether it is good for a DNS name or an IP address. */
  readonly covers: (name: string) => boolean;
}

/** What this agent knows. */
export interface Policy {
  readonly tokens: readonly Token[];
  readonly certificates: readonly CertificateRule[];
  readonly members: ReadonlyMap<MemberId, Member>;
  readonly loopback: 'token' | 'trusted';
}

export interface Caller {
  /** For the record of changes: `token ops`, `certificate alice`, `member n2`, `this machine`, `nobody`. */
  readonly who: string;
  readonly role: Role | null;
  /** The member whose agent it is; `some`: one that its certificate does not name. */
  readonly member: MemberId | 'some' | null;
  /** By what: a program that only passes something on (a browser, a proxy) shows certificates and addresses, but no token. */
  readonly by: 'token' | 'certificate' | 'secret' | 'address' | 'nothing';
  readonly wrongToken: boolean;
}

/** Who sent a request. Of several things that it shows, the one that allows most counts; a member stays one. */
export function callerOf(shown: Shown, policy: Policy): Caller {
  const token = shown.bearer === null ? null : tokenNamed(shown.bearer, policy.tokens);
  const certified = shown.certificate === null ? null : bearerOf(shown.certificate, policy);
  const isTrusted = policy.loopback === 'trusted' && isLoopback(shown.address) && !shown.isFromBrowser;
  const found: readonly Omit<Caller, 'wrongToken'>[] = [
    { who: 'nobody', role: null, member: null, by: 'nothing' },
    ...(isTrusted ? [{ who: 'this machine', role: 'admin', member: null, by: 'address' } as const] : []),
    ...(shown.proven === null
      ? []
      : [{ who: `member ${shown.proven}`, role: null, member: shown.proven, by: 'secret' } as const]),
    ...(certified === null ? [] : [certified]),
    ...(token === null ? [] : [{ who: `token ${token.name}`, role: token.role, member: null, by: 'token' } as const]),
  ];
  const strongest = found.reduce((best, each) => (rank(each) >= rank(best) ? each : best));
  // A certificate of one member does not make another one of its holder, whatever else it knows.
  const named = certified?.member ?? null;
  const member = named !== null && named !== 'some' ? named : (shown.proven ?? named);
  return { ...strongest, member, wrongToken: shown.bearer !== null && token === null };
}

const rank = ({ role, member }: Omit<Caller, 'wrongToken'>): number =>
  role === null ? (member === null ? -1 : -0.5) : ROLES.indexOf(role);

function bearerOf(certificate: Certificate, { certificates, members }: Policy): Omit<Caller, 'wrongToken'> {
  const { commonName, covers } = certificate;
  const isNamed = (name: string): boolean => name === commonName || covers(name);
  const who = `certificate ${commonName ?? 'without a name'}`;
  const rules = certificates.filter(({ name }) => isNamed(name));
  const roles = ROLES.filter((role) => rules.some((rule) => rule.role === role));
  const role = roles.at(-1) ?? null;
  const member = memberOf(certificate, members);
  if (member !== null || rules.some((rule) => rule.role === 'member')) {
    return { who, role, member: member ?? 'some', by: 'certificate' };
  }
  // Whoever the authority knows may look: changes take a word of this node's configuration.
  return { who, role: role ?? 'view', member: null, by: 'certificate' };
}

/** The member that a certificate names. Its addresses name none: a program beside the agent has a certificate for the same. */
function memberOf({ commonName }: Certificate, members: Policy['members']): MemberId | null {
  for (const { id } of members.values()) if (id === commonName) return id;
  return null;
}

/** The host of a member's address as the store has it; null: that is none. */
export const hostOf = (apiUrl: string): string | null =>
  URL.canParse(apiUrl) ? bareHost(new URL(apiUrl).hostname) : null;

/** Whose connection it is, for whom there is room of its own; null: a stranger's. Being on this machine is nothing that others are not. */
export function holderOf({ who, member, by }: Caller): string | null {
  if (member !== null) return `member ${member}`;
  return by === 'token' || by === 'certificate' ? who : null;
}

/** Whether that caller may. */
export function allows(caller: Caller, need: Need): boolean {
  const { role, member } = caller;
  switch (need) {
    case 'open':
      return true;
    case 'member':
      return member !== null;
    case 'watch':
      return role !== null || member !== null;
    default:
      return role === null ? need === 'view' && member !== null : ROLES.indexOf(role) >= ROLES.indexOf(need);
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** The token that was sent. Digests of one length are compared, and all of them: the time says nothing. */
function tokenNamed(sent: string, tokens: readonly Token[]): Token | null {
  const wanted = digest(sent);
  let found: Token | null = null;
  for (const token of tokens) if (timingSafeEqual(wanted, digest(token.secret))) found = token;
  return found;
}
