/**
 * How an agent shows another one that it is a member: by a secret that all members have and nobody else. The secret is never sent; what is
 * sent is good for one purpose at one member, so whoever receives it can do nothing elsewhere with it.
 */

import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { type MemberId, memberId } from '@understudy/core';
import { bareHost, isLoopback } from '../config/address.ts';
import { memberNameSchema } from '../config/member-name.ts';
import type { Secrets } from '../config/secrets.ts';

export type Purpose = 'stream' | 'copy';

/** What members have in common. */
export interface MemberSecret {
  readonly key: Buffer;
  /** Administrators' tokens that count now, by which agents of an earlier version show who asks for a stream. */
  readonly olderTokens: () => readonly string[];
}

export const MEMBER_HEADER = 'x-understudy-member';

/**
 * `member` of the secrets where it is set; otherwise it follows from the superuser's password, which only members have and which goes over no wire.
 */
export function memberSecretOf(
  cluster: string,
  secrets: Secrets,
  olderTokens: MemberSecret['olderTokens'],
): MemberSecret {
  const root = secrets.member ?? secrets.superuser;
  const key = Buffer.from(hkdfSync('sha256', root, cluster, 'understudy member of the agents API', 32));
  return { key, olderTokens };
}

const proofOf = ({ key }: MemberSecret, purpose: Purpose, self: string, of: string): string =>
  createHmac('sha256', key)
    .update(JSON.stringify([purpose, self, of]))
    .digest('hex');

const olderProofOf = (token: string, self: string): string =>
  createHmac('sha256', token).update(`understudy event stream for ${self}`).digest('hex');

/** Headers by which `self` asks the agent of `of`. */
export function introduction(
  secret: MemberSecret,
  purpose: Purpose,
  self: MemberId,
  of: MemberId,
): Readonly<Record<string, string>> {
  return { [MEMBER_HEADER]: `${self} ${proofOf(secret, purpose, self, of)}` };
}

/** The member that has sent `header` to the agent of `of`, when that is proven. */
export function provenMember(
  header: string | readonly string[] | undefined,
  purpose: Purpose,
  secret: MemberSecret,
  of: MemberId,
): MemberId | null {
  const [name = '', proof = ''] = typeof header === 'string' ? header.split(' ') : [];
  const member = memberNameSchema.safeParse(name);
  if (!member.success) return null;
  const isOlder =
    purpose === 'stream' && secret.olderTokens().some((token) => isProof(proof, olderProofOf(token, name)));
  return isProof(proof, proofOf(secret, purpose, name, of)) || isOlder ? memberId(member.data) : null;
}

function isProof(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Whether what shows membership may go to this address: encrypted to a checked certificate, within this machine, or where the configuration allows it. */
export function mayIntroduce(url: URL, insecure: boolean): boolean {
  return url.protocol === 'https:' || isLoopback(bareHost(url.hostname)) || insecure;
}
