/** Reads from a request, or from a connection, what it shows of its sender. */

import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { type PeerCertificate, TLSSocket } from 'node:tls';
import type { MemberId } from '@understudy/core';
import { MEMBER_HEADER, type MemberSecret, provenMember } from '../peers/introduction.ts';
import { type Caller, type Certificate, callerOf, type Policy } from './caller.ts';

export interface Identity {
  readonly self: MemberId;
  readonly secret: MemberSecret;
  /** As it is in force now. */
  readonly policy: () => Policy;
  /** Whether certificates are asked for at all. */
  readonly clientCert: 'none' | 'optional' | 'required';
}

/** @param purpose what a member's proof has to be for. The route says it: a URL has many spellings. */
export function identify(request: IncomingMessage, identity: Identity, purpose: 'stream' | 'copy'): Caller {
  const { headers, socket } = request;
  return callerOf(
    {
      address: socket.remoteAddress ?? '',
      bearer: /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? null,
      proven: provenMember(headers[MEMBER_HEADER], purpose, identity.secret, identity.self),
      certificate: certificateOf(socket, identity),
      isFromBrowser: isFromBrowser(request),
    },
    identity.policy(),
  );
}

/** Who holds a connection by its certificate alone, before anything was asked. */
export function identifyConnection(socket: Socket, identity: Identity): Caller {
  const address = socket.remoteAddress ?? '';
  const certificate = certificateOf(socket, identity);
  return callerOf({ address, bearer: null, proven: null, certificate, isFromBrowser: false }, identity.policy());
}

/** Browsers name the page that a request comes from; no other program does. */
export function isFromBrowser({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const site = headers['sec-fetch-site'];
  return headers.origin !== undefined || (site !== undefined && site !== 'none');
}

function certificateOf(socket: Socket, { clientCert }: Identity): Certificate | null {
  if (clientCert === 'none' || !(socket instanceof TLSSocket) || !socket.authorized) return null;
  const shown = socket.getPeerX509Certificate();
  if (shown === undefined) return null;
  // Of a certificate without a subject there is none, whatever the types say.
  const { subject }: Partial<PeerCertificate> = socket.getPeerCertificate();
  const CN = subject?.CN;
  return {
    commonName: typeof CN === 'string' ? CN : null,
    covers: (name) => covers(shown, name),
  };
}

function covers(certificate: X509Certificate, name: string): boolean {
  // Each of the two throws for what the other one is for.
  if (isIP(name) !== 0) return certificate.checkIP(name) !== undefined;
  if (!/^[A-Za-z0-9._-]+$/.test(name)) return false;
  return certificate.checkHost(name, { subject: 'never', wildcards: false }) !== undefined;
}
