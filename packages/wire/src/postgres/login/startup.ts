/** The first packet of a connection, which has no type: what a client wants, and the answers to it. */

import { ByteReader, ByteWriter } from '../bytes.ts';
import { WireError } from '../error.ts';
import { SERVER } from '../types.ts';

/** The version of the protocol: 3.0 is 196608. */
export interface ProtocolVersion {
  readonly major: number;
  readonly minor: number;
}

export interface StartupPacket {
  readonly kind: 'startup';
  readonly version: ProtocolVersion;
  /** Settings in the order in which they came; of one name the last one counts, as in PostgreSQL. */
  readonly parameters: ReadonlyMap<string, string>;
}

export type FirstPacket =
  | StartupPacket
  | { readonly kind: 'ssl-request' }
  | { readonly kind: 'gss-request' }
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Buffer };

/** What the bytes that have come so far say. */
export type FirstBytes =
  | { readonly kind: 'incomplete' }
  /** A TLS handshake without a request for it: its bytes belong to TLS. */
  | { readonly kind: 'direct-tls' }
  | { readonly kind: 'packet'; readonly packet: FirstPacket; readonly lengthBytes: number };

/** PostgreSQL's own limit (MAX_STARTUP_PACKET_LENGTH). */
export const MAX_STARTUP_BYTES = 10_000;
/** Name that ALPN has to agree on when TLS begins without a request. */
export const ALPN_PROTOCOL = 'postgresql';

const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;
const CANCEL_REQUEST = 80_877_102;
const TLS_HANDSHAKE = 0x16;
const MIN_SECRET_BYTES = 4;
const MAX_SECRET_BYTES = 256;

/**
 * Reads the first packet from all bytes that have come.
 *
 * @throws WireError `bad-length`, `malformed`: this is no client of PostgreSQL
 */
export function readFirstBytes(bytes: Buffer): FirstBytes {
  if (bytes.length === 0) return { kind: 'incomplete' };
  if (bytes[0] === TLS_HANDSHAKE) return { kind: 'direct-tls' };
  if (bytes.length < 4) return { kind: 'incomplete' };
  const lengthBytes = bytes.readUInt32BE(0);
  if (lengthBytes < 8 || lengthBytes > MAX_STARTUP_BYTES) {
    throw new WireError('bad-length', `the first packet says that it is ${lengthBytes} bytes long`);
  }
  if (bytes.length < lengthBytes) return { kind: 'incomplete' };
  return { kind: 'packet', packet: parsePacket(new ByteReader(bytes, 4, lengthBytes)), lengthBytes };
}

function parsePacket(reader: ByteReader): FirstPacket {
  const code = reader.uint32();
  switch (code) {
    case SSL_REQUEST:
      reader.done();
      return { kind: 'ssl-request' };
    case GSS_REQUEST:
      reader.done();
      return { kind: 'gss-request' };
    case CANCEL_REQUEST:
      return parseCancel(reader);
    default:
      return {
        kind: 'startup',
        version: { major: code >>> 16, minor: code & 0xffff },
        parameters: parseSettings(reader),
      };
  }
}

function parseCancel(reader: ByteReader): FirstPacket {
  const processId = reader.uint32();
  const secret = Buffer.from(reader.rest());
  if (secret.length < MIN_SECRET_BYTES || secret.length > MAX_SECRET_BYTES) {
    throw new WireError('malformed', `the key of a cancel request is ${secret.length} bytes long`);
  }
  return { kind: 'cancel', processId, secret };
}

function parseSettings(reader: ByteReader): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  for (let name = reader.text(); name !== ''; name = reader.text()) settings.set(name, reader.text());
  reader.done();
  return settings;
}

/** @throws WireError `malformed` when a name or a value cannot be sent */
export function encodeStartup(
  { major, minor }: ProtocolVersion,
  settings: Iterable<readonly [string, string]>,
): Buffer {
  return new ByteWriter()
    .message(0, (writer) => {
      writer.uint32(major * 0x1_0000 + minor);
      for (const [name, value] of settings) {
        if (name === '') throw new WireError('malformed', 'a setting of the startup packet has no name');
        writer.text(name).text(value);
      }
      writer.uint8(0);
    })
    .done();
}

export const encodeSslRequest = (): Buffer => encodeRequest(SSL_REQUEST);
export const encodeGssRequest = (): Buffer => encodeRequest(GSS_REQUEST);

const encodeRequest = (code: number): Buffer => new ByteWriter(8).message(0, (writer) => writer.uint32(code)).done();

export function encodeCancel(processId: number, secret: Buffer): Buffer {
  return new ByteWriter(16)
    .message(0, (writer) => writer.uint32(CANCEL_REQUEST).uint32(processId).bytes(secret))
    .done();
}

/** What a server that speaks 3.0 and 3.2 answers to the version and the `_pq_.` options of a client. */
export type Negotiation =
  | { readonly kind: 'agreed'; readonly version: ProtocolVersion }
  /** The client has to be told; it goes on with `version` or leaves. */
  | { readonly kind: 'lower'; readonly version: ProtocolVersion; readonly unknownOptions: readonly string[] }
  | { readonly kind: 'refused' };

const V3_0: ProtocolVersion = { major: 3, minor: 0 };
const V3_2: ProtocolVersion = { major: 3, minor: 2 };

/** Version 3.1 was never released; who asks for it gets 3.0. */
export function negotiate({ version, parameters }: StartupPacket): Negotiation {
  if (version.major !== 3) return { kind: 'refused' };
  const unknownOptions = [...parameters.keys()].filter((name) => name.startsWith('_pq_.'));
  const offered = version.minor >= 2 ? V3_2 : V3_0;
  if (offered.minor === version.minor && unknownOptions.length === 0) return { kind: 'agreed', version: offered };
  return { kind: 'lower', version: offered, unknownOptions };
}

/** NegotiateProtocolVersion. */
export function encodeNegotiation({ minor, major }: ProtocolVersion, unknownOptions: readonly string[]): Buffer {
  return new ByteWriter()
    .message(SERVER.negotiateProtocolVersion, (writer) => {
      writer.uint32(major * 0x1_0000 + minor).uint32(unknownOptions.length);
      for (const name of unknownOptions) writer.text(name);
    })
    .done();
}
