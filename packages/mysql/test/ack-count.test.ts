import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ackRule, type GtidPosition, memberId } from '@understudy/core';
import { Spared } from '../src/commands/spared.ts';
import { nextOf } from '../src/commands/strangers.ts';
import { parseMysqlGtids } from '../src/gtid/mysql.ts';
import { ackAccount } from '../src/names.ts';
import { AckCount, nobodySuffices } from '../src/observe/ack-count.ts';
import { type AckSample, AckTracker, strangersOf } from '../src/observe/ack-tracker.ts';

const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const [b, c] = [memberId('b'), memberId('c')];
const rule = ackRule([b, c], 1);

function position(numbers: string): GtidPosition {
  const set = parseMysqlGtids(`${uuid}:${numbers}`);
  assert(set !== null);
  return { kind: 'gtid', set, timelines: [1], bytesPerTransaction: 100 };
}

const sample: AckSample = {
  enabled: 'on',
  status: 'on',
  required: 1,
  waitPoint: 'AFTER_SYNC',
  readers: [ackAccount(b), ackAccount(c)],
  connections: [],
  clients: 2,
  inFlight: new Map(),
  position: position('1-10'),
  waiting: 0,
  acknowledged: 3,
};
const nowhere = new Map();

describe('how many a leader waits for', () => {
  it('is what the rule says, and one more for each stranger', () => {
    const count = new AckCount();
    assert.equal(count.wanted(sample, rule, nowhere, 'proven', 0), 1);
    assert.equal(count.wanted({ ...sample, clients: 4 }, rule, nowhere, 'proven', 0), 3);
    assert.equal(count.wanted({ ...sample, readers: [ackAccount(b), ackAccount(b)] }, rule, nowhere, 'proven', 0), 2);
  });

  it('is more than there are while too few members are connected, whoever else is', () => {
    const alone = { ...sample, readers: ['dr'], clients: 1 };
    assert.equal(new AckCount().wanted(alone, rule, nowhere, 'proven', 0), nobodySuffices);
  });

  it('is never lowered while the rule is being changed, as those of the old one may come back', () => {
    const fewer = { ...sample, required: 2, readers: [ackAccount(b)], clients: 1 };
    const onlyB = ackRule([b], 1);
    assert.equal(new AckCount().wanted(fewer, onlyB, nowhere, 'changing', 0), 2);
    assert.equal(new AckCount().wanted({ ...fewer, readers: [] }, onlyB, nowhere, 'changing', 0), nobodySuffices);
    assert.equal(new AckCount().wanted(fewer, onlyB, nowhere, 'proven', 0), 1);
  });

  it('is more than there are while nobody answers, until somebody does', () => {
    const count = new AckCount();
    const stuck = { ...sample, waiting: 2, inFlight: position('11-12').set };
    const before = new Map([[b, position('1-10')]]);
    assert.equal(count.wanted(stuck, rule, before, 'proven', 0), 1);
    assert.equal(count.wanted(stuck, rule, before, 'proven', 1400), 1);
    assert.equal(count.wanted(stuck, rule, before, 'proven', 1500), nobodySuffices);
    assert.equal(count.wanted(stuck, rule, before, 'proven', 9000), nobodySuffices);
    assert.equal(count.wanted(stuck, rule, new Map([[b, position('1-11')]]), 'proven', 9100), 1, 'it receives again');
    assert.equal(count.wanted(stuck, rule, before, 'proven', 10_700), nobodySuffices);
    assert.equal(
      count.wanted(stuck, rule, new Map([[c, position('1-12')]]), 'proven', 10_800),
      1,
      'it holds what waits',
    );
    assert.equal(count.wanted({ ...stuck, waiting: 0 }, rule, before, 'proven', 20_000), 1);
  });
});

describe('who is ended as a stranger', () => {
  const named = (user: string, id: number) => ({ user, id });
  const connections = [
    named(ackAccount(b), 3),
    named(ackAccount(c), 4),
    named('debezium', 7),
    named('us_copy', 8),
    named(ackAccount(c), 9),
  ];
  const ended = (tried: readonly (readonly [number, string])[], spared: readonly string[] = []) =>
    nextOf({ connections }, rule, new Map(tried), (user) => spared.includes(user))?.id;

  it("is a member's own older connection before somebody else's, and never its newest", () => {
    assert.equal(ended([]), 4);
    assert.equal(ended([[4, ackAccount(c)]]), 7);
    const two = [
      [4, ackAccount(c)],
      [7, 'debezium'],
    ] as const;
    assert.equal(ended(two), 8);
    assert.equal(ended([...two, [8, 'us_copy']]), undefined);
  });

  it('is nobody twice in turn who comes back, while another was not tried', () => {
    const back = [
      [1, ackAccount(c)],
      [2, ackAccount(c)],
    ] as const;
    assert.equal(ended(back), 7);
  });

  it('is not whoever was found harmless, for a minute', () => {
    assert.equal(ended([[4, ackAccount(c)]], ['debezium']), 8);
    const memory = new Spared();
    memory.note(1, 'debezium', 'harmless', 0);
    assert.equal(memory.why(1, 'debezium', 59_000), 'harmless');
    assert.equal(memory.why(1, 'debezium', 60_000), null);
    assert.equal(memory.why(2, 'debezium', 1), null, 'another run of the server');
  });
});

describe('strangers', () => {
  it('are those who are counted beyond the members of the rule', () => {
    assert.equal(strangersOf(sample, rule), 0);
    assert.equal(strangersOf({ ...sample, clients: 1 }, rule), 0, 'one is just logging in');
    assert.equal(strangersOf({ ...sample, clients: 3 }, rule), 1);
    assert.equal(
      strangersOf({ clients: 2, readers: [ackAccount(b), ackAccount(b)] }, rule),
      1,
      'an account used twice',
    );
    assert.equal(strangersOf({ clients: 2, readers: [ackAccount(b), 'us_copy'] }, rule), 1);
  });

  it('leave the rule unproven when they are seen twice, and a doubt until enough members hold what was answered', () => {
    const tracker = new AckTracker();
    tracker.prove(1, rule, position('1-10'));
    const strange = { ...sample, clients: 3 };
    tracker.seen(1, strange);
    assert.deepEqual(tracker.state(1).running, rule);
    tracker.seen(1, strange);
    assert.equal(tracker.state(1).running, null);
    assert.match(tracker.state(1).unproven ?? '', /does not name acknowledges/);
    assert.equal(tracker.voids(1)[0]?.effect, 'loss');
    tracker.confirmed(1, [position('1-99')]);
    assert.equal(tracker.voids(1).length, 1, 'what is answered now is not known yet');
    tracker.prove(1, rule, position('1-20'));
    assert.deepEqual(tracker.state(1).running, rule);
    tracker.confirmed(1, [position('1-19')]);
    assert.equal(tracker.voids(1).length, 1);
    tracker.confirmed(1, [position('1-20')]);
    assert.deepEqual(tracker.voids(1), []);
  });

  it('are none any more when each has a place of his own', () => {
    const tracker = new AckTracker();
    tracker.prove(1, rule, position('1-10'), 1);
    for (let look = 0; look < 3; look++) tracker.seen(1, { ...sample, required: 2, clients: 3 });
    assert.deepEqual(tracker.state(1).running, rule);
    for (let look = 0; look < 2; look++) tracker.seen(1, { ...sample, required: 2, clients: 4 });
    assert.equal(tracker.state(1).running, null);
  });

  it('who were switched off by somebody leave the same doubt', () => {
    const tracker = new AckTracker();
    tracker.prove(1, rule, position('1-10'));
    tracker.seen(1, { ...sample, enabled: 'off' });
    assert.match(tracker.state(1).unproven ?? '', /somebody changed it/);
    assert.equal(tracker.voids(1)[0]?.effect, 'loss');
    assert.deepEqual(tracker.voids(2), []);
  });
});
