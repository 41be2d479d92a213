/**
 * Goal: a token is exact, small, and nobody else's. Method: laws by generated tokens, and each way of being wrong.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { contains, epoch, type GtidSet, gtidUnion, lsn, memberId, type Position } from '@understudy/core';
import fc from 'fast-check';
import {
  clusterKey,
  decodeToken,
  emptyToken,
  encodeToken,
  endOfWal,
  HEALTHY,
  mergeTokens,
  newToken,
  PROOFS,
  type Proof,
  pruneToken,
  type RoutingTopology,
  resolveToken,
  type Token,
  type TokenEntry,
  type TokenKeys,
} from '../src/index.ts';
import { hmacSha256 } from '../src/runtime/index.ts';

const CLUSTER = clusterKey('main', '7000000000000000001');
const keyOf = (byte: number) => hmacSha256(new Uint8Array(32).fill(byte));
const KEYS: TokenKeys = {
  current: 2,
  macs: new Map([
    [1, keyOf(1)],
    [2, keyOf(2)],
  ]),
};
const NOW = 1_800_000_000_000;
const EXPECTED = { cluster: CLUSTER, nowWallMs: NOW, maxAgeMs: 60_000 };

const wal = (taken: number, timeline: number, end: number | bigint, proof: Proof = 'acked'): TokenEntry => ({
  epoch: epoch(taken),
  proof,
  position: { kind: 'wal', timeline, lsn: lsn(BigInt(end)) },
});
const tokenOf = (...entries: TokenEntry[]): Token =>
  entries.map((entry) => newToken(CLUSTER, entry, NOW)).reduce(mergeTokens, emptyToken(CLUSTER));

const aProof = fc.constantFrom(...PROOFS);
const aWalEntry = fc
  .tuple(fc.integer({ min: 0, max: 3 }), aProof, fc.integer({ min: 1, max: 3 }), fc.bigInt(0n, 2n ** 64n - 1n))
  .map(([taken, proof, timeline, end]) => wal(taken, timeline, end, proof));
const UUIDS = [
  '3e11fa47-71ca-11e1-9e33-c80aa9429562',
  '00000000-0000-0000-0000-00000000000f',
  '0-1',
  'domain 7 · server 3',
];
const aSet: fc.Arbitrary<GtidSet> = fc
  .array(fc.tuple(fc.constantFrom(...UUIDS), fc.bigInt(1n, 200n), fc.bigInt(0n, 20n)), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.map(([source, first, more]) => new Map([[source, [{ first, last: first + more }]]])))
  .map((sets) => gtidUnion(...sets));
const aGtidEntry = fc
  .tuple(fc.integer({ min: 0, max: 3 }), aProof, aSet)
  .map(([taken, proof, set]): TokenEntry => ({ epoch: epoch(taken), proof, position: { kind: 'gtid', set } }));
const tokensOf = (entry: fc.Arbitrary<TokenEntry>): fc.Arbitrary<Token> =>
  fc.tuple(fc.array(entry, { maxLength: 3 }), fc.nat(NOW)).map(([entries, issuedWallMs]) => ({
    ...tokenOf(...entries),
    issuedWallMs,
  }));

for (const [kind, aToken] of [
  ['log', tokensOf(aWalEntry)],
  ['set', tokensOf(aGtidEntry)],
] as const) {
  describe(`tokens of a ${kind}`, () => {
    test('merging is a join: associative, commutative, idempotent, with a neutral one', () => {
      fc.assert(
        fc.property(aToken, aToken, aToken, (a, b, c) => {
          assert.deepEqual(mergeTokens(mergeTokens(a, b), c), mergeTokens(a, mergeTokens(b, c)));
          assert.deepEqual(mergeTokens(a, b), mergeTokens(b, a));
          assert.deepEqual(mergeTokens(a, a), a);
          assert.deepEqual(mergeTokens(a, emptyToken(CLUSTER)), a);
        }),
      );
    });

    test('what was written is read', () => {
      fc.assert(
        fc.property(aToken, (token) => {
          const read = decodeToken(encodeToken(token, KEYS), KEYS, { ...EXPECTED, maxAgeMs: Number.MAX_SAFE_INTEGER });
          assert.deepEqual(read, { kind: 'token', token });
        }),
      );
    });
  });
}

test('a token of a log has about 55 characters', () => {
  const text = encodeToken(tokenOf(wal(12, 14, 0x3a_3000_0148n)), KEYS);
  assert.ok(text.length <= 56, `${text.length}: ${text}`);
  assert.match(text, /^v1\.[A-Za-z0-9_-]+$/);
});

describe('a token that is not to be believed', () => {
  const text = encodeToken(tokenOf(wal(1, 1, 1000)), KEYS);
  const codeOf = (candidate: string, expected: Partial<typeof EXPECTED> = {}, keys = KEYS) => {
    const read = decodeToken(candidate, keys, { ...EXPECTED, ...expected });
    return read.kind === 'rejected' ? read.error.code : 'accepted';
  };

  test('is accepted as long as nothing is wrong, also with an older key', () => {
    assert.equal(codeOf(text), 'accepted');
    assert.equal(codeOf(encodeToken(tokenOf(wal(1, 1, 1000)), { ...KEYS, current: 1 })), 'accepted');
  });

  test('is malformed when cut, lengthened, or something else', () => {
    for (const bad of [
      '',
      'v1.',
      'v2.AAAA',
      'v1.!!!!',
      text.slice(0, 20),
      'x'.repeat(10_000),
      `v1.${'A'.repeat(5000)}`,
    ]) {
      assert.equal(codeOf(bad), 'TOKEN_MALFORMED', bad.slice(0, 30));
    }
  });

  test('is forged when a single character was changed, at whatever place', () => {
    for (let at = 3; at < text.length; at += 1) {
      const changed = text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
      assert.notEqual(codeOf(changed), 'accepted', changed);
    }
  });

  test('is forged when its key is not known', () => {
    const strange: TokenKeys = { current: 2, macs: new Map([[2, keyOf(9)]]) };
    assert.equal(codeOf(encodeToken(tokenOf(wal(1, 1, 1000)), strange)), 'TOKEN_FORGED');
    assert.equal(codeOf(text, {}, { current: 1, macs: new Map([[1, keyOf(1)]]) }), 'TOKEN_FORGED');
  });

  test('is foreign when it is of another cluster', () => {
    assert.equal(codeOf(text, { cluster: clusterKey('other', '7000000000000000001') }), 'TOKEN_FOREIGN');
    assert.equal(codeOf(text, { cluster: clusterKey('main', '7000000000000000002') }), 'TOKEN_FOREIGN');
  });

  test('is expired after its time', () => {
    assert.equal(codeOf(text, { nowWallMs: NOW + 60_000 }), 'accepted');
    assert.equal(codeOf(text, { nowWallMs: NOW + 60_001 }), 'TOKEN_EXPIRED');
  });

  test('random bytes are never accepted, and never throw', () => {
    fc.assert(
      fc.property(fc.base64String({ maxLength: 200 }), (noise) => assert.notEqual(codeOf(`v1.${noise}`), 'accepted')),
    );
  });

  test('a short key is refused, and a token with more entries than may be sent', () => {
    assert.throws(() => hmacSha256(new Uint8Array(31)), /32 bytes/);
    const many = tokenOf(...Array.from({ length: 17 }, (_, index) => wal(index, 1, 1)));
    assert.throws(() => encodeToken(many, KEYS), { code: 'TOKEN_TOO_LARGE' });
  });
});

/** Timelines 1 to 3; 2 forked off at 1000, 3 at 2000, as the leader of epoch 3 opened. */
const OPENED: Position = {
  kind: 'wal',
  timeline: 3,
  lsn: lsn(2000n),
  history: [
    { timeline: 1, switchLsn: lsn(1000n) },
    { timeline: 2, switchLsn: lsn(2000n) },
  ],
};
const topologyOf = (more: Partial<RoutingTopology> = {}): RoutingTopology => ({
  cluster: CLUSTER,
  epoch: epoch(3),
  phase: 'open',
  leader: memberId('n1'),
  leaseUntilMs: null,
  overrode: null,
  opened: OPENED,
  nodes: [],
  ...more,
});

describe('a token after failovers', () => {
  const standing = (entry: TokenEntry, more: Partial<RoutingTopology> = {}) =>
    resolveToken(tokenOf(entry), topologyOf(more));
  const placeOf = (entry: TokenEntry, more: Partial<RoutingTopology> = {}) => {
    const found = standing(entry, more);
    if (found.kind !== 'valid' || found.position.kind !== 'wal')
      return found.kind === 'rejected' ? found.error.code : found.kind;
    return `${found.position.timeline}@${found.position.lsn}`;
  };

  test('holds when its write lies before the fork', () => {
    assert.equal(placeOf(wal(1, 1, 900)), '1@900');
    assert.equal(placeOf(wal(2, 2, 2000, 'local')), '2@2000');
    assert.equal(placeOf(wal(3, 3, 5000, 'local')), '3@5000');
  });

  test('is lost when a write that only one server had lies behind it', () => {
    assert.equal(placeOf(wal(1, 1, 1001, 'local')), 'TOKEN_LOST');
    assert.equal(placeOf(wal(1, 1, 1001, 'seen')), 'TOKEN_LOST');
    assert.equal(placeOf(wal(2, 7, 1500, 'local')), 'TOKEN_LOST');
  });

  test('an acknowledged write behind it is at the fork: its LSN was read later than its commit', () => {
    assert.equal(placeOf(wal(1, 1, 1001)), '1@1000');
  });

  test('but not across an epoch that an operator forced', () => {
    assert.equal(placeOf(wal(1, 1, 1001), { overrode: epoch(2) }), 'TOKEN_LOST');
    assert.equal(placeOf(wal(2, 2, 2001), { overrode: epoch(2) }), '2@2000');
    assert.equal(placeOf(wal(1, 1, 900), { overrode: epoch(2) }), '1@900');
  });

  test('a leader that came back on its own timeline has what it held when it opened', () => {
    const reopened: Position = { ...OPENED, lsn: lsn(2500n) };
    assert.equal(placeOf(wal(3, 3, 2600, 'local'), { epoch: epoch(4), opened: reopened }), 'TOKEN_LOST');
    assert.equal(placeOf(wal(4, 3, 2600, 'local'), { epoch: epoch(4), opened: reopened }), '3@2600');
  });

  test('waits for the topology when it is of a newer epoch, and for the history when that is not known', () => {
    assert.equal(standing(wal(4, 4, 1)).kind, 'ahead');
    assert.equal(standing(wal(3, 3, 1), { opened: null }).kind, 'unknown');
    assert.equal(standing(wal(3, 9, 1)).kind, 'ahead');
  });

  test('is expired when it is older than the history that is told', () => {
    const opened: Position = {
      ...OPENED,
      timeline: 301,
      history: [{ timeline: 300, switchLsn: lsn(9000n) }],
      before: { steps: 299, digest: '1' },
    };
    assert.equal(placeOf(wal(1, 1, 1), { opened, epoch: epoch(400) }), 'TOKEN_EXPIRED');
  });

  test('of another cluster is refused', () => {
    const found = resolveToken(tokenOf(wal(1, 1, 1)), topologyOf({ cluster: clusterKey('x', '1') }));
    assert.equal(found.kind === 'rejected' && found.error.code, 'TOKEN_FOREIGN');
  });

  test('is reduced to one entry for each proof, which asks for the same', () => {
    const token = tokenOf(wal(1, 1, 900), wal(2, 2, 1500), wal(3, 3, 2400), wal(1, 1, 950, 'seen'));
    const found = resolveToken(token, topologyOf());
    assert.ok(found.kind === 'valid');
    assert.deepEqual(found.token.entries, [wal(3, 3, 2400), wal(3, 1, 950, 'seen')]);
    assert.deepEqual(resolveToken(found.token, topologyOf()), found);
  });

  test('loses what every node shows, and nothing else', () => {
    const node = (name: string, end: bigint, timeline = 3) => ({
      member: memberId(name),
      role: 'replica' as const,
      zone: null,
      weight: 1,
      takesReads: true,
      tags: new Set<string>(),
      applied: { ...OPENED, timeline, lsn: lsn(end) } as Position,
      health: HEALTHY,
      latencyMs: 0,
      inFlight: 0,
    });
    const token = tokenOf(wal(3, 3, 2400), wal(3, 3, 2600, 'seen'));
    const prune = (...ends: bigint[]) =>
      pruneToken(token, topologyOf({ nodes: ends.map((end, index) => node(`n${index}`, end)) }), contains).entries
        .length;
    assert.equal(prune(2700n, 2700n), 0);
    assert.equal(prune(2700n, 2500n), 1);
    assert.equal(prune(2700n, 2300n), 2);
    assert.equal(prune(), 2);
    const unknown = topologyOf({ nodes: [{ ...node('n1', 2700n), applied: null }] });
    assert.equal(pruneToken(token, unknown, contains).entries.length, 2);
  });

  test('of sets is lost exactly if the leader did not hold it when it opened', () => {
    const set = (last: bigint): GtidSet => new Map([['a', [{ first: 1n, last }]]]);
    const opened: Position = { kind: 'gtid', set: set(10n), timelines: [1, 2], bytesPerTransaction: 100 };
    const kind = (taken: number, last: bigint, proof: Proof) => {
      const entry: TokenEntry = { epoch: epoch(taken), proof, position: { kind: 'gtid', set: set(last) } };
      const found = resolveToken(tokenOf(entry), topologyOf({ opened }));
      return found.kind === 'rejected' ? found.error.code : found.kind;
    };
    assert.equal(kind(2, 10n, 'local'), 'valid');
    assert.equal(kind(2, 11n, 'local'), 'TOKEN_LOST');
    assert.equal(kind(2, 11n, 'acked'), 'TOKEN_LOST');
    assert.equal(kind(3, 11n, 'local'), 'valid');
  });
});

test('the end of the log is told without the header of the page behind it', () => {
  const segment = 16 * 1024 * 1024;
  const end = (value: number) => Number(endOfWal(lsn(BigInt(value)), segment));
  assert.equal(end(8192 + 24), 8192);
  assert.equal(end(segment + 40), segment);
  assert.equal(end(8192 + 40), 8192 + 40);
  assert.equal(end(8192 + 32), 8192 + 32);
  assert.equal(end(segment + 24), segment + 24);
  assert.equal(end(0x3016030), 0x3016030);
});
