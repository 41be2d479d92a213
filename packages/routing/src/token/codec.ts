import { epoch, type GtidInterval, lsn } from '@understudy/core';
import { RoutingError } from '../errors.ts';
import type { ClusterKey } from '../topology/topology.ts';
import { ByteReader, ByteWriter, fromBase64Url, toBase64Url } from './bytes.ts';
import { foreign, joinEntries, PROOFS, type Token, type TokenEntry, type TokenPosition } from './token.ts';

/** HMAC of a message with one key, at least `MAC_BYTES` long (`hmacSha256` of `@understudy/routing/runtime`). */
export type Mac = (message: Uint8Array) => Uint8Array;

/** Keys by number (0 to 255): `current` signs, all of them are accepted, so that keys can be exchanged one router after the other. */
export interface TokenKeys {
  readonly current: number;
  readonly macs: ReadonlyMap<number, Mac>;
}

export type TokenRead =
  | { readonly kind: 'token'; readonly token: Token }
  | { readonly kind: 'rejected'; readonly error: RoutingError };

export interface TokenExpectation {
  readonly cluster: ClusterKey;
  readonly nowWallMs: number;
  readonly maxAgeMs: number;
}

/** A token is proof for a while only: what is older is in every replica, or its cluster has other troubles. */
export const DEFAULT_TOKEN_AGE_MS = 86_400_000;

const PREFIX = 'v1.';
const MAC_BYTES = 12;
/** The MAC of a token is the MAC of nothing else, whatever else the key is used for. */
const DOMAIN = new TextEncoder().encode('understudy routing token 1\u0000');
const ENTRIES_MAX = 16;
const SOURCES_MAX = 64;
const INTERVALS_MAX = 64;
const TEXT_MAX = 4096;
const KINDS = ['wal', 'gtid'] as const;

/**
 * `v1.` and base64url of: kind, key number, cluster (8 bytes), time of issue (6), entries, MAC (12). About 55 characters for a log.
 *
 * @throws RoutingError `TOKEN_TOO_LARGE` when it has more entries than a token may carry: `resolveToken` gives a reduced one.
 */
export function encodeToken(token: Token, keys: TokenKeys): string {
  const mac = keys.macs.get(keys.current);
  if (mac === undefined) throw new RangeError(`There is no token key ${keys.current}.`);
  const kind = token.entries[0]?.position.kind ?? 'wal';
  const writer = new ByteWriter()
    .byte(KINDS.indexOf(kind))
    .byte(keys.current)
    .fixed(BigInt(`0x${token.cluster}`), 8)
    .fixed(token.issuedWallMs, 6)
    .varint(token.entries.length);
  for (const entry of token.entries) writeEntry(writer, entry);
  const payload = writer.done();
  const text = PREFIX + toBase64Url(joined(payload, tagOf(mac, payload)));
  if (token.entries.length > ENTRIES_MAX || text.length > TEXT_MAX || !isSmall(token)) throw tooLarge();
  return text;
}

/** Reads what `encodeToken` wrote. Nothing is believed before the MAC is checked but the cluster's name, for a better error. */
export function decodeToken(text: string, keys: TokenKeys, expected: TokenExpectation): TokenRead {
  const bytes = text.length <= TEXT_MAX && text.startsWith(PREFIX) ? fromBase64Url(text.slice(PREFIX.length)) : null;
  if (bytes === null || bytes.length < 17 + MAC_BYTES) return rejected('TOKEN_MALFORMED');
  const payload = bytes.subarray(0, bytes.length - MAC_BYTES);
  const reader = new ByteReader(payload);
  const kind = KINDS[reader.byte() ?? KINDS.length];
  const mac = keys.macs.get(reader.byte() ?? -1);
  const cluster = (reader.fixed(8) ?? 0n).toString(16).padStart(16, '0') as ClusterKey;
  if (cluster !== expected.cluster) return { kind: 'rejected', error: foreign(expected.cluster, cluster) };
  if (mac === undefined || !isSame(tagOf(mac, payload), bytes.subarray(payload.length)))
    return rejected('TOKEN_FORGED');
  const issuedWallMs = Number(reader.fixed(6) ?? 0n);
  if (expected.nowWallMs - issuedWallMs > expected.maxAgeMs) return rejected('TOKEN_EXPIRED');
  const entries = kind === undefined ? null : readEntries(reader, kind);
  return entries === null
    ? rejected('TOKEN_MALFORMED')
    : { kind: 'token', token: { cluster, issuedWallMs, entries: joinEntries(entries) } };
}

function writeEntry(writer: ByteWriter, { epoch: taken, proof, position }: TokenEntry): void {
  writer.varint(taken).byte(PROOFS.indexOf(proof));
  if (position.kind === 'wal') {
    writer.varint(position.timeline).varint(position.lsn);
    return;
  }
  writer.varint(position.set.size);
  for (const [source, intervals] of [...position.set].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    writeSource(writer, source);
    writer.varint(intervals.length);
    let from = 0n;
    for (const { first, last } of intervals) {
      writer.varint(first - from).varint(last - first);
      from = last;
    }
  }
}

function readEntries(reader: ByteReader, kind: TokenPosition['kind']): readonly TokenEntry[] | null {
  const count = reader.count(ENTRIES_MAX);
  if (count === null) return null;
  const entries: TokenEntry[] = [];
  for (let index = 0; index < count; index += 1) {
    const taken = reader.count(Number.MAX_SAFE_INTEGER);
    const proof = PROOFS[reader.byte() ?? PROOFS.length];
    const position = kind === 'wal' ? readWal(reader) : readGtid(reader);
    if (taken === null || proof === undefined || position === null) return null;
    entries.push({ epoch: epoch(taken), proof, position });
  }
  return reader.isAtEnd ? entries : null;
}

function readWal(reader: ByteReader): TokenPosition | null {
  const timeline = reader.count(0xffff_ffff);
  const end = reader.varint();
  return timeline === null || end === null ? null : { kind: 'wal', timeline, lsn: lsn(end) };
}

function readGtid(reader: ByteReader): TokenPosition | null {
  const sources = reader.count(SOURCES_MAX);
  if (sources === null) return null;
  const set = new Map<string, readonly GtidInterval[]>();
  for (let index = 0; index < sources; index += 1) {
    const source = readSource(reader);
    const intervals = readIntervals(reader);
    if (source === null || intervals === null) return null;
    set.set(source, intervals);
  }
  return { kind: 'gtid', set };
}

function readIntervals(reader: ByteReader): readonly GtidInterval[] | null {
  const count = reader.count(INTERVALS_MAX);
  if (count === null) return null;
  const intervals: GtidInterval[] = [];
  let from = 0n;
  for (let index = 0; index < count; index += 1) {
    const gap = reader.varint();
    const more = reader.varint();
    if (gap === null || more === null) return null;
    const first = from + gap;
    from = first + more;
    intervals.push({ first, last: from });
  }
  return intervals;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A UUID in 16 bytes after a 0; any other name with its length before it. */
function writeSource(writer: ByteWriter, source: string): void {
  if (UUID.test(source)) {
    writer.byte(0).fixed(BigInt(`0x${source.replaceAll('-', '')}`), 16);
    return;
  }
  const name = new TextEncoder().encode(source).subarray(0, 255);
  writer.byte(name.length).raw(name);
}

function readSource(reader: ByteReader): string | null {
  const length = reader.byte();
  if (length === null) return null;
  if (length > 0) {
    const name = reader.raw(length);
    return name === null ? null : new TextDecoder().decode(name);
  }
  const hex = reader.fixed(16)?.toString(16).padStart(32, '0');
  return hex === undefined ? null : hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Only what `decodeToken` accepts is written. */
function isSmall(token: Token): boolean {
  return token.entries.every(({ position }) => {
    if (position.kind === 'wal') return true;
    return position.set.size <= SOURCES_MAX && [...position.set.values()].every((each) => each.length <= INTERVALS_MAX);
  });
}

function tagOf(mac: Mac, payload: Uint8Array): Uint8Array {
  const tag = mac(joined(DOMAIN, payload));
  if (tag.length < MAC_BYTES) throw new RangeError(`A token key's MAC has ${tag.length} bytes, it needs ${MAC_BYTES}.`);
  return tag.subarray(0, MAC_BYTES);
}

/** In a time that does not depend on where they differ. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.reduce((differing, value, index) => differing | (value ^ (b[index] ?? 0)), 0) === 0;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

const REJECTIONS = {
  TOKEN_MALFORMED: ['The text is no token.', 'Send a token as it was returned, whole.'],
  TOKEN_FORGED: ['The token was not made by this cluster, or was changed.', 'Send a token that this cluster returned.'],
  TOKEN_EXPIRED: ['The token is too old.', 'Leave it out: what it stood for is old, or read at level strong.'],
} as const;

function rejected(code: keyof typeof REJECTIONS): TokenRead {
  const [message, nextStep] = REJECTIONS[code];
  return { kind: 'rejected', error: new RoutingError(code, message, { retry: 'unsafe', sqlState: '22023', nextStep }) };
}

function tooLarge(): RoutingError {
  return new RoutingError('TOKEN_TOO_LARGE', `A token carries at most ${ENTRIES_MAX} entries.`, {
    retry: 'unsafe',
    sqlState: '54000',
    nextStep: 'Reduce it by the topology first.',
  });
}
