/**
 * Goal: a tree of replicas changes who feeds whom, and nothing else: never who acknowledges, who is believed, or what is held. The world of
 * `build.ts` with a fourth member: n1 leads, n2 acknowledges, n3 is wanted under n2; this node is n3.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { circleAmong, type MemberId, type Memory, ms, type OperatorRequest, wantedUpstream } from '../src/index.ts';
import {
  any,
  codeOf,
  commandOf,
  confirmed,
  content,
  cut,
  decideOn,
  EPOCH_5,
  fresh,
  kindsOf,
  NOW,
  n1,
  n2,
  n3,
  n4,
  n5,
  type ObservationChange,
  primary,
  recordIn,
  replica,
  type StoreChange,
  seal,
  silent,
  suspecting,
} from './support/build.ts';
import { at, on } from './support/positions.ts';

const FOUR = [n1, n2, n3, n4] as const;
const chain: StoreChange = { members: FOUR, record: { rule: any(1, n2, n4) }, config: { upstreams: { n3: n2 } } };
const under = (change: Parameters<typeof replica>[0] = {}) => replica({ upstream: n2, ...change });

/** One decision of n3, which is wanted under n2. */
const n3Decides = (change: ObservationChange = {}, remembered: Partial<Memory> = {}) =>
  decideOn({ self: n3, store: chain, ...change }, remembered);

const trying = { upstream: n2, state: 'trying', since: ms(NOW - 100) } as const;

// Going there.

test('a replica that is wanted under another one goes there, if that one has applied all that it holds', () => {
  const decision = n3Decides();
  assert.deepEqual(decision.commands, [{ kind: 'follow', upstream: n2, epoch: EPOCH_5 }]);
  assert.deepEqual(decision.memory.cascade, { upstream: n2, state: 'trying', since: NOW });
  assert.equal(codeOf(n3Decides({ engine: under() })), 'following');
});

test('one that is ahead of its wanted upstream lets go first, so that its end stands still, and then waits for that one', () => {
  const peers = { [n2]: fresh(n2, replica({ position: at(5, 4400) })) };
  const leaving = n3Decides({ peers });
  assert.deepEqual([codeOf(leaving), kindsOf(leaving)], ['leaving-upstream', ['seal']]);
  const waiting = n3Decides({ peers, engine: cut() }, leaving.memory);
  assert.deepEqual([codeOf(waiting), kindsOf(waiting)], ['upstream-behind', []]);
  assert.deepEqual(kindsOf(n3Decides({ engine: cut() }, waiting.memory)), ['follow']);
});

test('what its wanted upstream has only received does not count: not every engine passes that on', () => {
  const peers = { [n2]: fresh(n2, replica({ replayed: at(5, 4400) })) };
  assert.equal(codeOf(n3Decides({ peers, engine: cut() })), 'upstream-behind');
});

test('one that gets nowhere goes to the leader after a while, stays there, and tries again later', () => {
  const peers = { [n2]: fresh(n2, replica({ position: at(5, 4400) })) };
  const since5s = { cascade: { ...trying, since: ms(NOW - 5000) } };
  assert.equal(
    n3Decides({ peers, engine: replica() }, since5s).memory.cascade?.since,
    NOW,
    'it went elsewhere meanwhile',
  );
  const late = n3Decides({ peers, engine: cut() }, since5s);
  assert.deepEqual(late.commands, [{ kind: 'follow', upstream: n1, epoch: EPOCH_5 }]);
  assert.deepEqual(late.memory.cascade, { upstream: n2, state: 'given-up', since: NOW });
  assert.deepEqual(n3Decides({}, late.memory).commands, []);
  const later = n3Decides({}, { cascade: { upstream: n2, state: 'given-up', since: ms(NOW - 30_000) } });
  assert.deepEqual(kindsOf(later), ['follow']);
});

test('a log that only the leader still has is asked of the leader, and costs no new copy', () => {
  for (const cause of ['wal-removed', 'history', 'login'] as const) {
    const engine = under({ receiver: { kind: 'broken', cause } });
    const decision = n3Decides({ engine }, { cascade: trying });
    assert.deepEqual(decision.commands, [{ kind: 'follow', upstream: n1, epoch: EPOCH_5 }], cause);
  }
});

test('arriving is remembered as nothing, and so is a way to where it is wanted no longer', () => {
  const begun = { cascade: { ...trying, since: ms(NOW - 5000) } };
  assert.equal(n3Decides({ engine: under() }, begun).memory.cascade, null);
  assert.deepEqual(
    n3Decides({ engine: under() }, { cascade: trying }).memory.cascade,
    trying,
    'it may be gone at once',
  );
  assert.equal(n3Decides({ store: { members: FOUR } }, { cascade: trying }).memory.cascade, null);
});

// When it belongs to the leader instead.

const n2IsNot: readonly (readonly [string, ObservationChange])[] = [
  ['heard', { peers: { [n2]: silent(2000) } }],
  ['a replica', { peers: { [n2]: fresh(n2, { kind: 'absent' }) } }],
  ['cut', { peers: { [n2]: fresh(n2, cut()) } }],
  ['connected', { peers: { [n2]: fresh(n2, replica({ receiver: { kind: 'broken', cause: 'unknown' } })) } }],
  ['fed by this very node', { peers: { [n2]: fresh(n2, replica({ upstream: n3 })) } }],
  [
    'fed in a circle',
    {
      store: { ...chain, members: [...FOUR, n5], record: { rule: any(1, n5) } },
      peers: { [n2]: fresh(n2, replica({ upstream: n4 })), [n4]: fresh(n4, replica({ upstream: n2 })) },
    },
  ],
  [
    'on the history of the leader',
    { peers: { [n2]: fresh(n2, replica({ position: on(4, 4001, [1, 1000], [2, 2000], [3, 3000]) })) } },
  ],
  [
    'near',
    {
      store: { ...chain, config: { upstreams: { n3: n2 }, ackerLagBytes: 1000 } },
      peers: { [n2]: fresh(n2, replica({ position: at(5, 3000) })) },
    },
  ],
];

for (const [name, change] of n2IsNot) {
  test(`a wanted upstream that is not ${name} is left for the leader, and not gone to`, () => {
    const leaves = n3Decides({ engine: under(), ...change });
    assert.deepEqual(leaves.commands, [{ kind: 'follow', upstream: n1, epoch: EPOCH_5 }]);
    const stays = n3Decides(change);
    assert.deepEqual([stays.commands, codeOf(stays)], [[], 'following']);
    assert.match(stays.reasons[0]?.text ?? '', /^Following n1: wanted under n2, but /);
  });
}

test('a wanted upstream may itself be fed by a replica', () => {
  const peers = { [n2]: fresh(n2, replica({ upstream: n4 })) };
  assert.deepEqual(kindsOf(n3Decides({ peers })), ['follow']);
});

test('who acknowledges, by the rule or the one that is being moved to, stays with the leader', () => {
  for (const change of [
    { rule: any(1, n2, n3) },
    { rule: any(1, n2, n4), nextRule: any(1, n2, n3) },
    { rule: any(1, n3), nextRule: any(1, n4) },
  ]) {
    const store = { ...chain, record: change };
    assert.deepEqual(n3Decides({ store }).commands, []);
    assert.equal(commandOf(n3Decides({ store, engine: under() }), 'follow').upstream, n1);
  }
});

test('where too few acknowledge, everybody goes to the leader to be counted on', () => {
  const few = { ...chain, config: { upstreams: { n3: n2 }, requiredAcks: 2 }, record: { rule: any(1, n2) } };
  assert.equal(commandOf(n3Decides({ store: few, engine: under() }), 'follow').upstream, n1);
  const gone = { ...chain, record: { rule: any(1, n4) } };
  assert.equal(
    commandOf(n3Decides({ store: gone, engine: under(), peers: { [n4]: silent(2000) } }), 'follow').upstream,
    n1,
  );
  const alone = {
    ...chain,
    record: { rule: any(0), durability: 'async' },
    config: { upstreams: { n3: n2 }, durability: 'async' },
  } as const;
  assert.equal(codeOf(n3Decides({ store: alone, engine: under() })), 'following');
});

test('a leader that has not opened is followed by all, and the leader itself has no upstream', () => {
  const promoting = { ...chain, record: { phase: 'promoting', opened: null, rule: any(1, n2) } } as const;
  const engine = under({ position: at(4, 3900) });
  assert.equal(commandOf(n3Decides({ store: promoting, engine }), 'follow').upstream, n1);
  const n2Leads = { ...chain, record: { leader: n2, rule: any(1, n1) } };
  assert.equal(codeOf(n3Decides({ store: n2Leads, engine: under() })), 'following');
});

test('a replica that has diverged leaves even a healthy upstream, to be brought back', () => {
  const engine = under({ position: on(4, 4001, [1, 1000], [2, 2000], [3, 3000]) });
  assert.deepEqual(kindsOf(n3Decides({ engine })), ['rewind']);
});

test('on stale knowledge everybody stays where they are', () => {
  const store = { kind: 'stale', content: content(chain), silentMs: 5000 } as const;
  assert.deepEqual(n3Decides({ store }).commands, []);
  assert.deepEqual(n3Decides({ store, engine: under(), peers: { [n2]: silent(2000) } }).commands, []);
});

// Suspicion and seal.

test('a stream from an intermediate is no sign of the life of the leader', () => {
  const suspects = (engine: ReturnType<typeof replica>) =>
    n3Decides({ engine, peers: { [n1]: silent(60_000) } }).suspects;
  assert.equal(suspects(replica()), null);
  assert.equal(suspects(under()), EPOCH_5);
});

test('one that is below an intermediate seals with the others, at what it holds, and gives the seal back before it goes there again', () => {
  const peers = { [n1]: silent(5000), [n2]: suspecting(n2), [n4]: suspecting(n4) };
  assert.deepEqual(kindsOf(n3Decides({ engine: under(), peers })), ['seal']);
  assert.deepEqual(kindsOf(n3Decides({ engine: cut(), peers })), ['commit: publish seal']);
  const sealed = { ...chain, seals: { n3: seal(at(5, 4500)) } };
  assert.deepEqual(kindsOf(n3Decides({ engine: cut(), store: sealed })), []);
  const since = { sealedSince: { epoch: EPOCH_5, since: ms(NOW - 2000) } };
  assert.deepEqual(kindsOf(n3Decides({ engine: cut(), store: sealed }, since)), ['commit: withdraw seal']);
});

test('its seal proves nothing: it is no acker', () => {
  const store = { ...chain, seals: { n3: seal(at(5, 4500)), n2: seal(at(5, 4500)) } };
  assert.equal(codeOf(n3Decides({ engine: cut(), store, peers: { [n1]: silent(5000) } })), 'seal-quorum-missing');
});

test('it can be elected, when the ackers have sealed and it holds what they do', () => {
  const store = { ...chain, seals: { n2: seal(at(5, 4400)), n3: seal(at(5, 4500)), n4: seal(at(5, 4400)) } };
  const peers = { [n1]: silent(5000), [n2]: fresh(n2, cut(at(5, 4400))), [n4]: fresh(n4, cut(at(5, 4400))) };
  const elected = n3Decides({ engine: cut(), store, peers });
  assert.equal(codeOf(elected), 'elected');
  // n2 and n4 are wanted under the new leader itself.
  assert.deepEqual(recordIn(elected).rule, any(1, n2, n4));
});

// Who acknowledges.

const leads = (config: StoreChange['config'], rule = any(1, n2, n3, n4), there: readonly MemberId[] = [n2, n3, n4]) => {
  const gone = rule.members.filter((id) => !there.includes(id));
  return decideOn(
    {
      self: n1,
      store: { members: FOUR, record: { rule }, ...(config === undefined ? {} : { config }) },
      engine: primary({ acks: { running: rule, barrier: at(5, 4110) }, replicas: there.map((id) => confirmed(id)) }),
    },
    { ackersGoneSince: new Map(gone.map((id) => [id, ms(NOW - 5000)])) },
  );
};

test('the leader takes a member that is wanted elsewhere out of the rule, by the usual change', () => {
  assert.deepEqual(recordIn(leads({ upstreams: { n3: n2 } })).nextRule, any(1, n2, n4));
  assert.deepEqual(leads({ upstreams: { n3: n2 } }, any(1, n2, n4)).commands, []);
});

test('it keeps that member where too few would remain: durability comes before the shape of the tree', () => {
  assert.deepEqual(leads({ upstreams: { n3: n2 }, requiredAcks: 3 }, any(3, n2, n3, n4)).commands, []);
  const alone = leads({ upstreams: { n3: n2 } }, any(1, n2), [n3]);
  assert.deepEqual(recordIn(alone).nextRule, any(1, n3));
});

test('it lets nobody go before enough others acknowledge already: first the rule grows, then it shrinks', () => {
  assert.deepEqual(recordIn(leads({ upstreams: { n3: n2 } }, any(1, n3), [n2, n3])).nextRule, any(1, n2, n3));
  assert.deepEqual(recordIn(leads({ upstreams: { n3: n2 } }, any(1, n2, n3), [n2, n3])).nextRule, any(1, n2));
});

test('a new leader counts from the first write on those who are wanted below itself', () => {
  const elects = (upstreams: Readonly<Record<string, MemberId>>) =>
    recordIn(
      decideOn({
        self: n2,
        engine: cut(),
        store: { members: FOUR, record: { rule: any(1, n2) }, config: { upstreams }, seals: { n2: seal(at(5, 4500)) } },
        peers: { [n1]: silent(5000) },
      }),
    ).rule;
  assert.deepEqual(elects({ n3: n4 }), any(1, n4));
  assert.deepEqual(elects({ n3: n2, n4: n2 }), any(1, n3, n4));
  assert.deepEqual(elects({ n3: n1 }), any(1, n4), 'n1 will be back, as a replica');
});

// Planned handovers.

test('a leader hands over to a member below an intermediate, if that gets all that it writes', () => {
  const request: OperatorRequest = {
    kind: 'switchover',
    id: 'r1',
    from: null,
    to: n3,
    notBeforeWallMs: null,
    timeoutMs: 10_000,
  };
  const asks = (peers: ObservationChange['peers'] = {}) =>
    decideOn({
      self: n1,
      store: { ...chain, request },
      engine: primary({
        acks: { running: any(1, n2, n4), barrier: at(5, 4110) },
        replicas: [confirmed(n2), confirmed(n4)],
      }),
      peers: { [n3]: fresh(n3, under()), ...peers },
    });
  assert.equal(codeOf(asks()), 'switchover-checkpoint');
  const refused = asks({ [n2]: fresh(n2, cut()) });
  assert.equal(codeOf(refused), 'request-refused');
  assert.match(refused.reasons[0]?.text ?? '', /n3 does not replicate from n1 now/);
});

// What the configuration says.

const names = ['n1', 'n2', 'n3', 'n4', 'constructor'] as unknown as readonly MemberId[];
const name = fc.constantFrom(...names);

test('whoever is wanted under another member gets to the leader by way of the upstreams, in a circle nobody is', () => {
  fc.assert(
    fc.property(fc.dictionary(name, name), name, name, (upstreams, leader, member) => {
      const members = new Set(names);
      const wanted = wantedUpstream(upstreams, members, leader, member);
      if (circleAmong(upstreams) === null && Object.hasOwn(upstreams, member) && member !== leader) {
        assert.equal(wanted, upstreams[member] === leader ? null : upstreams[member]);
      }
      const passed: MemberId[] = [];
      for (let each: MemberId | null = member; each !== null; each = wantedUpstream(upstreams, members, leader, each)) {
        assert.ok(!passed.includes(each), `${passed.join()} ${each}`);
        passed.push(each);
      }
      if (member === leader) assert.equal(wanted, null);
    }),
  );
});

test('what is configured names nobody who is not a member', () => {
  assert.equal(wantedUpstream({ n3: n2 }, new Set([n1, n3]), n1, n3), null);
  assert.equal(wantedUpstream({ n3: n2 }, new Set([n1, n2, n3]), n1, n3), n2);
});
