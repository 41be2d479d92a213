/** How an agent that asks for another's event stream shows that it is a member: by its certificate, or by the cluster's token. */

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { type MemberId, memberId } from '@understudy/core';
import { memberNameSchema } from '../config/member-name.ts';

/** Who opens an event stream. Members have room of their own, whoever else is connected. */
export type Subscriber =
  | { readonly kind: 'member'; readonly member: MemberId }
  | { readonly kind: 'anonymous'; readonly address: string };

const HEADER = 'x-understudy-member';

/** The token itself is never sent: what is sent opens an event stream, and nothing else. */
const proofOf = (token: string, member: string): string =>
  createHmac('sha256', token).update(`understudy event stream for ${member}`).digest('hex');

/** Headers by which `self` asks for a stream. */
export function introduction(self: MemberId, token: string | null): Readonly<Record<string, string>> {
  return { [HEADER]: token === null ? self : `${self} ${proofOf(token, self)}` };
}

/** Who sent `request`: a member when it can show it, anonymous otherwise. */
export function subscriberOf(request: IncomingMessage, token: string | null): Subscriber {
  const address = request.socket.remoteAddress ?? 'unknown';
  const header = request.headers[HEADER];
  const [name = '', proof = ''] = typeof header === 'string' ? header.split(' ') : [];
  const member = memberNameSchema.safeParse(name);
  if (!member.success) return { kind: 'anonymous', address };
  const certified = request.socket instanceof TLSSocket && request.socket.authorized;
  if (certified || (token !== null && isProof(proof, proofOf(token, name)))) {
    return { kind: 'member', member: memberId(member.data) };
  }
  return { kind: 'anonymous', address };
}

function isProof(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
