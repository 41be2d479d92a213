/** Who may change things. */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { isLoopback } from '../config/address.ts';
import type { NodeConfig } from '../config/node-config.ts';
import { problem } from './errors.ts';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Lengths differ, digests do not: the comparison takes the same time whatever was sent. */
function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

/**
 * Checks that a request may change things: by bearer token, by a client certificate of the configured authority, or from this machine
 * where the configuration trusts it.
 * @throws HttpProblem 401 or 403
 */
export function authorize(request: IncomingMessage, config: NodeConfig['api'], token: string | null): void {
  const { socket } = request;
  const clientCert = config.tls?.clientCert ?? 'none';
  if (clientCert !== 'none' && socket instanceof TLSSocket && socket.authorized) return;
  if (config.loopback === 'trusted' && isLoopback(socket.remoteAddress ?? '')) return;
  const sent = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? null;
  if (token === null) {
    throw problem(
      403,
      'CHANGES_DISABLED',
      'This agent accepts no changes over HTTP from here: it has no token, and the caller showed no certificate that it trusts.',
      'Set api.tokenFile, or api.tls with clientCert, or api.loopback: trusted, and restart the agent.',
    );
  }
  if (sent === null) {
    throw problem(
      401,
      'TOKEN_MISSING',
      'A change needs the bearer token.',
      'Send "authorization: Bearer <token>"; it is in api.tokenFile.',
    );
  }
  if (!sameSecret(sent, token)) {
    throw problem(
      403,
      'TOKEN_WRONG',
      'The bearer token is not the one of this cluster.',
      'Send the token in api.tokenFile.',
    );
  }
}
