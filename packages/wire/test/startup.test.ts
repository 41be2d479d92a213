// Goal: the first packet of a connection is read from any pieces, within bounds, and every version gets an answer that the protocol has.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  encodeCancel,
  encodeGssRequest,
  encodeNegotiation,
  encodeSslRequest,
  encodeStartup,
  type FirstPacket,
  negotiate,
  readFirstBytes,
  WireError,
} from '../src/postgres/index.ts';

function read(bytes: Buffer): FirstPacket {
  for (let end = 0; end < bytes.length; end++) {
    assert.equal(readFirstBytes(bytes.subarray(0, end)).kind, 'incomplete', `complete after ${end} bytes`);
  }
  const first = readFirstBytes(Buffer.concat([bytes, Buffer.from('Q behind it')]));
  assert.equal(first.kind, 'packet');
  assert.ok(first.kind === 'packet');
  assert.equal(first.lengthBytes, bytes.length);
  return first.packet;
}

const word = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }).map((each) => each.replaceAll('\0', '_'));

test('settings are read as they were written, from any number of bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(word, word), { maxLength: 6 }), (settings) => {
      const packet = read(encodeStartup({ major: 3, minor: 0 }, settings));
      assert.deepEqual(packet, { kind: 'startup', version: { major: 3, minor: 0 }, parameters: new Map(settings) });
    }),
    { numRuns: 200 },
  );
});

test('requests for TLS, GSS and a cancel', () => {
  assert.deepEqual(read(encodeSslRequest()), { kind: 'ssl-request' });
  assert.deepEqual(read(encodeGssRequest()), { kind: 'gss-request' });
  for (const secretBytes of [4, 32, 256]) {
    const secret = Buffer.alloc(secretBytes, 7);
    assert.deepEqual(read(encodeCancel(4_000_000_000, secret)), { kind: 'cancel', processId: 4_000_000_000, secret });
  }
});

test('a TLS handshake is seen by its first byte', () => {
  assert.equal(readFirstBytes(Buffer.from([0x16])).kind, 'direct-tls');
});

const lengths = [0, 4, 7, 10_001, 0x7fff_ffff, 0x8000_0008, 0xffff_ffff];
for (const length of lengths.filter((each) => each >>> 24 !== 0x16)) {
  test(`a first packet of ${length} bytes is refused by its length alone`, () => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(length);
    assert.throws(() => readFirstBytes(bytes), { name: 'WireError', code: 'bad-length' });
  });
}

const packet = (body: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([length, body]);
};
const malformed: readonly (readonly [string, Buffer])[] = [
  ['no end of the list', Buffer.from('\0\x03\0\0user\0me\0')],
  ['a name without a value', Buffer.from('\0\x03\0\0user\0')],
  ['bytes behind the list', Buffer.from('\0\x03\0\0user\0me\0\0x')],
  ['a key of three bytes', encodeCancel(1, Buffer.alloc(3)).subarray(4)],
  ['a key of 257 bytes', encodeCancel(1, Buffer.alloc(257)).subarray(4)],
  ['a request for TLS with more in it', Buffer.concat([encodeSslRequest().subarray(4), Buffer.alloc(1)])],
];
for (const [name, body] of malformed) {
  test(`refused: ${name}`, () => {
    assert.throws(() => readFirstBytes(packet(body)), { name: 'WireError', code: 'malformed' });
  });
}

test('any first bytes are incomplete, read or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        readFirstBytes(packet(Buffer.from(bytes)));
      } catch (error) {
        assert.ok(error instanceof WireError, `${error}`);
      }
    }),
    { numRuns: 2_000 },
  );
});

const startup = (minor: number, ...options: string[]) =>
  ({
    kind: 'startup',
    version: { major: 3, minor },
    parameters: new Map([['user', 'me'], ...options.map((name) => [name, '1'] as const)]),
  }) as const;

test('versions: 3.0 and 3.2 are spoken, others are led to them', () => {
  assert.deepEqual(negotiate(startup(0)), { kind: 'agreed', version: { major: 3, minor: 0 } });
  assert.deepEqual(negotiate(startup(2)), { kind: 'agreed', version: { major: 3, minor: 2 } });
  assert.deepEqual(negotiate(startup(1)), { kind: 'lower', version: { major: 3, minor: 0 }, unknownOptions: [] });
  // What libpq of PostgreSQL 19 sends on purpose, so that proxies which cannot negotiate show.
  assert.deepEqual(negotiate(startup(9999, '_pq_.test_protocol_negotiation')), {
    kind: 'lower',
    version: { major: 3, minor: 2 },
    unknownOptions: ['_pq_.test_protocol_negotiation'],
  });
  assert.deepEqual(negotiate(startup(0, '_pq_.x')), {
    kind: 'lower',
    version: { major: 3, minor: 0 },
    unknownOptions: ['_pq_.x'],
  });
  for (const major of [0, 2, 4, 0xffff]) {
    assert.equal(negotiate({ ...startup(0), version: { major, minor: 0 } }).kind, 'refused');
  }
});

test('the answer to an unknown version', () => {
  assert.equal(
    encodeNegotiation({ major: 3, minor: 2 }, ['_pq_.x']).toString('hex'),
    `76${'00000013'}${'00030002'}${'00000001'}${Buffer.from('_pq_.x\0').toString('hex')}`,
  );
});
