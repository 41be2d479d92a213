import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decide, describeCommand, explainFailover, explainMember, type FailoverOutlook, ms } from '../src/index.ts';
import { memory as anyMemory, observation as anyObservation } from './support/arbitrary.ts';
import {
  any,
  cut,
  EPOCH_5,
  fresh,
  member,
  memory,
  NOW,
  n1,
  n2,
  n3,
  n4,
  type ObservationChange,
  observation,
  primary,
  replica,
  seal,
  silent,
  stopped,
  suspecting,
} from './support/build.ts';
import { at } from './support/positions.ts';

type Known = Extract<FailoverOutlook, { kind: 'known' }>;

function outlook(change: ObservationChange = {}, remembered = {}): Known {
  const found = explainFailover(observation(change), memory(remembered));
  assert.equal(found.kind, 'known');
  return found as Known;
}

const standing = (found: Known, id: string) => found.candidates.find((each) => each.member === id);

test('a healthy cluster: who would lead, with which proof, and that nothing would be lost', () => {
  for (const self of [n1, n2, n3]) {
    const found = outlook({ self });
    assert.equal(found.successor, 'n2');
    assert.deepEqual(found.proof, {
      kind: 'seals',
      verdict: 'met',
      rule: 'any 1 of (n2, n3)',
      needed: 2,
      of: ['n2', 'n3'],
      available: ['n2', 'n3'],
      missing: [],
    });
    assert.equal(standing(found, 'n2')?.standing, 'first');
    assert.equal(standing(found, 'n3')?.standing, 'next');
    assert.match(standing(found, 'n3')?.why ?? '', /n2 comes first/);
    assert.equal(found.rpo.kind, 'zero-proven');
    assert.equal(standing(found, 'n1'), undefined);
  }
});

test('the furthest comes first, and the others are told how far behind they are', () => {
  const found = outlook({ self: n1, peers: { [n2]: fresh(n2, replica({ position: at(5, 4400) })) } });
  assert.equal(found.successor, 'n3');
  const behind = standing(found, 'n2');
  assert.deepEqual([behind?.standing, behind?.code, behind?.behindBytes], ['out', 'candidate-behind', 100]);
});

test('nofailover, silent, reading, stopped: why each of them does not lead', () => {
  const members = [n1, member(n2, { nofailover: true }), n3, n4];
  const found = outlook({
    self: n1,
    store: { members },
    peers: { [n3]: silent(5000), [n4]: fresh(n4, replica({ position: null })) },
  });
  assert.equal(found.successor, null);
  assert.equal(standing(found, 'n3')?.code, 'unreachable');
  assert.match(standing(found, 'n3')?.why ?? '', /silent/);
  assert.match(standing(found, 'n4')?.why ?? '', /reading its log/);
  assert.match(standing(outlook({ peers: { [n3]: fresh(n3, stopped('crashed')) } }), 'n3')?.why ?? '', /stopped/);
  const tagged = outlook({ self: n1, store: { members: [n1, member(n2, { nofailover: true }), n3] } });
  assert.equal(standing(tagged, 'n2')?.code, 'candidate-nofailover');
  assert.equal(tagged.successor, 'n3');
});

test('too few ackers: the proof says who is missing, and nobody would lead', () => {
  const found = outlook({ peers: { [n3]: silent(5000) } });
  assert.equal(found.successor, null);
  assert.deepEqual(found.proof.verdict, 'missing');
  assert.deepEqual(found.proof.kind === 'seals' && found.proof.missing, ['n3']);
  assert.equal(standing(found, 'n2')?.code, 'seal-quorum-missing');
});

test('a leader that acknowledges alone has no successor', () => {
  const found = outlook({ store: { record: { rule: any(0) } } });
  assert.deepEqual(found.proof, { kind: 'alone', verdict: 'missing' });
  assert.equal(found.successor, null);
  assert.equal(found.rpo.kind, 'zero-assumed');
});

test('async: after the lease, with a bounded loss', () => {
  const store = { record: { durability: 'async', rule: any(0) }, config: { durability: 'async' } } as const;
  const found = outlook({ store });
  assert.deepEqual(found.proof, { kind: 'lease', verdict: 'met', afterMs: 6000, lossMaxBytes: 1024 * 1024 });
  assert.equal(found.successor, 'n2');
  assert.equal(found.rpo.kind, 'bounded');
  const restored = { ...store, record: { ...store.record, cause: 'store-restored' } } as const;
  assert.deepEqual(outlook({ store: restored }).proof, found.proof, 'a lease that ended long ago');
  const limited = { ...store, config: { durability: 'async', maxLagOnFailoverBytes: 10 } } as const;
  const behind = replica({ position: at(5, 4400) });
  assert.equal(outlook({ store: limited, engine: behind, peers: { [n3]: fresh(n3, behind) } }).successor, null);
});

test('a paused cluster, an operator’s request and seals that are there already do not blur the answer', () => {
  const store = {
    paused: true,
    request: { kind: 'switchover', id: 'r1', from: n1, to: n3, notBeforeWallMs: null, timeoutMs: 1000 },
    seals: { [n3]: seal(at(5, 4400)) },
  } as const;
  const found = outlook({ store });
  assert.equal(found.paused, 'yes');
  assert.equal(found.successor, 'n2');
});

test('without a record there is nothing to say, and that is said', () => {
  assert.equal(explainFailover(observation({ store: { kind: 'never' } })).kind, 'unknown');
  assert.equal(explainFailover(observation({ store: { record: null } })).kind, 'unknown');
});

test('the outlook comes true: when the leader is gone and all have sealed, exactly the successor takes the leadership', () => {
  const views = [at(5, 4300), at(5, 4400), at(5, 4500)];
  for (const a of views) {
    for (const b of views) {
      const found = outlook({
        self: n1,
        peers: { [n2]: fresh(n2, replica({ position: a })), [n3]: fresh(n3, replica({ position: b })) },
      });
      const seals = { [n2]: seal(a), [n3]: seal(b) };
      const takes = (self: typeof n2, own: typeof a, other: typeof n2, others: typeof a): boolean =>
        decide(
          observation({
            self,
            engine: cut(own),
            store: { seals },
            peers: { [n1]: silent(2000), [other]: suspecting(other, cut(others)) },
          }),
          memory(),
        ).commands.some((command) => command.kind === 'promote');
      assert.equal(takes(n2, a, n3, b), found.successor === 'n2');
      assert.equal(takes(n3, b, n2, a), found.successor === 'n3');
    }
  }
});

test('an outlook is plain JSON, names at most one successor, and is given for every observation', () => {
  fc.assert(
    fc.property(anyObservation, anyMemory, (obs, remembered) => {
      const found = explainFailover(obs, remembered);
      assert.deepEqual(JSON.parse(JSON.stringify(found)), found);
      if (found.kind === 'unknown') return;
      const first = found.candidates.filter((each) => each.standing === 'first');
      assert.ok(first.length <= 1, first.map((each) => each.member).join());
      assert.equal(found.successor, first[0]?.member ?? null);
      if (found.successor !== null) assert.equal(found.proof.verdict, 'met');
    }),
    { numRuns: 3000 },
  );
});

test('a member is explained by its decision, its suspicion, its seal and its authority', () => {
  const obs = observation({
    engine: cut(),
    store: { seals: { [n2]: seal(at(5, 4500)) } },
    peers: { [n1]: silent(1500), [n3]: suspecting(n3) },
  });
  const found = explainMember(obs, decide(obs, memory({ sealedSince: { epoch: EPOCH_5, since: ms(NOW) } })));
  assert.equal(found.suspicion?.code, 'leader-silent');
  assert.equal(found.sealedAt, '5@0/1194');
  assert.equal(found.authorityForMs, null);
  assert.equal(found.reasons[0]?.code, 'seal-quorum-missing');
  assert.deepEqual(found.does, []);
  const leading = observation({ self: n1, engine: primary() });
  const leader = explainMember(leading, decide(leading, memory()));
  assert.equal(leader.suspicion, null);
  assert.equal(leader.authorityForMs, 6000);
  assert.deepEqual([leader.epoch, leader.leader], [5, 'n1']);
});

test('every command is described, and an explanation is plain JSON', () => {
  fc.assert(
    fc.property(anyObservation, anyMemory, (obs, remembered) => {
      const decision = decide(obs, remembered);
      for (const command of decision.commands) assert.match(describeCommand(command), /^[a-z].*\w\)?$/);
      const found = explainMember(obs, decision);
      assert.deepEqual(JSON.parse(JSON.stringify(found)), found);
    }),
    { numRuns: 2000 },
  );
});
