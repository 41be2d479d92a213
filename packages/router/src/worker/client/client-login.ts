/** The beginning of a client's connection: first packet, TLS, and the proof that it has the password. */

import { randomBytes, randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import {
  ALPN_PROTOCOL,
  CLIENT,
  encodeAuthentication,
  encodeNegotiation,
  type FirstPacket,
  FrameScanner,
  type FrameSink,
  type LoginKeys,
  loginFrames,
  MAX_STARTUP_BYTES,
  mechanismsOf,
  negotiate,
  parseSaslInitial,
  parseSaslResponse,
  readFirstBytes,
  type StartupPacket,
  scramServerFinal,
  scramServerFirst,
  type Verifier,
  WireError,
} from '@understudy/wire/postgres';

/** How a connection may be encrypted. */
export interface ClientTls {
  readonly context: SecureContext;
  /** Hash of the certificate, for channel binding. */
  readonly endPoint: Buffer;
  /** Who comes without is sent away. */
  readonly required: boolean;
}

export type Arrival =
  | { readonly kind: 'startup'; readonly packet: StartupPacket; readonly socket: Socket; readonly isEncrypted: boolean }
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Buffer; readonly socket: Socket };

const FRAMES = loginFrames();

/** Reads a socket piece by piece, for as long as every step is waited for. */
class Reader {
  readonly socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #wake: (() => void) | null = null;
  #ended = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
      if (this.#bytes.length > MAX_STARTUP_BYTES + 64 * 1024) this.#ended = true;
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('error', end);
    socket.on('end', end);
    socket.on('close', end);
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  take(length: number): void {
    this.#bytes = this.#bytes.subarray(length);
  }

  /** @throws WireError `unexpected` when no more will come */
  async more(): Promise<void> {
    const before = this.#bytes.length;
    while (this.#bytes.length === before) {
      if (this.#ended) throw new WireError('unexpected', 'the client left during its login');
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
      this.#wake = null;
    }
  }

  /** Leaves the socket to others. */
  release(): void {
    this.socket.removeAllListeners();
    this.socket.on('error', () => undefined);
    this.socket.pause();
  }
}

/**
 * Reads up to the startup packet, over as many requests for encryption as the protocol allows.
 *
 * @throws WireError when it is no client of PostgreSQL
 */
export async function receive(first: Socket, tls: ClientTls | null): Promise<Arrival> {
  let reader = new Reader(first);
  let isEncrypted = false;
  let asked = 0;
  for (;;) {
    const found = readFirstBytes(reader.bytes);
    if (found.kind === 'incomplete') {
      await reader.more();
      continue;
    }
    if (found.kind === 'direct-tls') {
      if (tls === null || isEncrypted) throw new WireError('unexpected', 'TLS is not configured');
      const early = reader.bytes;
      reader.release();
      first.unshift(early);
      reader = new Reader(await encrypted(first, tls, 'required'));
      isEncrypted = true;
      continue;
    }
    const { packet, lengthBytes } = found;
    if (packet.kind === 'ssl-request' || packet.kind === 'gss-request') {
      if (++asked > 2) throw new WireError('unexpected', 'a client asked for encryption again and again');
      // What came behind the request was not encrypted: nobody may be made to believe that it was.
      if (reader.bytes.length > lengthBytes) throw new WireError('unexpected', 'bytes behind a request for encryption');
      reader.take(lengthBytes);
      if (packet.kind === 'gss-request' || tls === null || isEncrypted) {
        reader.socket.write('N');
        continue;
      }
      reader.release();
      first.write('S');
      reader = new Reader(await encrypted(first, tls, 'optional'));
      isEncrypted = true;
      continue;
    }
    reader.take(lengthBytes);
    return arrivalOf(packet, reader, isEncrypted);
  }
}

function arrivalOf(
  packet: Exclude<FirstPacket, { kind: 'ssl-request' | 'gss-request' }>,
  reader: Reader,
  isEncrypted: boolean,
): Arrival {
  if (reader.bytes.length > 0) throw new WireError('unexpected', 'bytes behind the first packet');
  reader.release();
  if (packet.kind === 'cancel') return { ...packet, socket: reader.socket };
  return { kind: 'startup', packet, socket: reader.socket, isEncrypted };
}

/** @throws WireError `unexpected` when the handshake fails */
function encrypted(socket: Socket, tls: ClientTls, alpn: 'required' | 'optional'): Promise<Socket> {
  return new Promise((done, fail) => {
    const wrapped = new TLSSocket(socket, {
      isServer: true,
      secureContext: tls.context,
      ALPNProtocols: [ALPN_PROTOCOL],
    });
    const failed = (): void => fail(new WireError('unexpected', 'the TLS handshake failed'));
    wrapped.once('error', failed);
    wrapped.once('close', failed);
    wrapped.once('secure', () => {
      wrapped.removeListener('error', failed);
      wrapped.removeListener('close', failed);
      if (alpn === 'required' && wrapped.alpnProtocol !== ALPN_PROTOCOL) failed();
      else done(wrapped);
    });
  });
}

/** What the version of a client is answered with; null: nothing. @throws WireError `unexpected` for another major version */
export function versionAnswer(packet: StartupPacket): Buffer | null {
  const negotiation = negotiate(packet);
  switch (negotiation.kind) {
    case 'agreed':
      return null;
    case 'lower':
      return encodeNegotiation(negotiation.version, negotiation.unknownOptions);
    case 'refused':
      throw new WireError('unexpected', `protocol version ${packet.version.major} is not spoken here`);
  }
}

/**
 * Has the client prove that it knows the password.
 *
 * @returns what it proved to have: it logs in to servers with the same verifier
 * @throws WireError `auth-failed` for a wrong password; others when the client breaks the protocol or leaves
 */
export async function prove(socket: Socket, verifier: Verifier, endPoint: Buffer | null): Promise<LoginKeys> {
  const reader = new Reader(socket);
  socket.resume();
  try {
    const channel = { endPoint };
    socket.write(encodeAuthentication({ kind: 'sasl', mechanisms: mechanismsOf(channel) }));
    const initial = parseSaslInitial(await answerOf(reader));
    const nonce = randomBytes(18).toString('base64');
    const step = scramServerFirst(initial.mechanism, initial.text, verifier, channel, nonce);
    socket.write(encodeAuthentication({ kind: 'sasl-continue', text: step.serverFirst }));
    const result = scramServerFinal(step, parseSaslResponse(await answerOf(reader)));
    socket.write(encodeAuthentication({ kind: 'sasl-final', text: result.serverFinal }));
    return result.keys;
  } finally {
    reader.release();
  }
}

/** The next message, which has to be an answer to what was asked: a second startup packet is none. */
async function answerOf(reader: Reader): Promise<Buffer> {
  for (;;) {
    const answer = firstMessage(reader);
    if (answer !== null) return answer;
    await reader.more();
  }
}

function firstMessage(reader: Reader): Buffer | null {
  let body: Buffer | null = null;
  const sink: FrameSink = {
    frame: (type, bytes, start, end) => {
      if (type !== CLIENT.password) throw new WireError('unexpected', 'the client left during its login');
      body = Buffer.from(bytes.subarray(start + 5, end));
      return false;
    },
    piece: () => true,
  };
  const read = new FrameScanner(FRAMES).scan(reader.bytes, 0, reader.bytes.length, sink);
  if (body !== null) reader.take(read);
  return body;
}

/** What a client needs to cancel: four bytes in version 3.0, more later. */
export const secretOf = (version: StartupPacket['version']): Buffer =>
  version.minor >= 2 ? randomBytes(32) : intBytes(randomInt(0, 0xffff_ffff));

function intBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
