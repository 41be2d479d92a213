import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALONE, ackRule, type GtidPosition, memberId } from '@understudy/core';
import { parseMysqlGtids } from '../src/gtid/mysql.ts';
import { ackAccount } from '../src/names.ts';
import { type AckSample, AckTracker, countsBy } from '../src/observe/ack-tracker.ts';
import { PastPositions, progressOf } from '../src/observe/replicas.ts';

const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const [b, c] = [memberId('b'), memberId('c')];

function position(numbers: string): GtidPosition {
  const set = parseMysqlGtids(numbers === '' ? '' : `${uuid}:${numbers}`);
  assert(set !== null);
  return { kind: 'gtid', set, timelines: [1], bytesPerTransaction: 100 };
}

const rule = ackRule([b, c], 1);
const sample: AckSample = {
  enabled: 'on',
  status: 'on',
  required: 1,
  waitPoint: 'AFTER_SYNC',
  readers: [ackAccount(b), 'us_copy', 'somebody'],
  connections: [],
  clients: 1,
  inFlight: new Map(),
  position: position('1-10'),
  waiting: 0,
  acknowledged: 3,
};

describe('who counts', () => {
  it('agrees with what the server shows, or does not', () => {
    assert(countsBy(sample, rule));
    assert(countsBy({ ...sample, required: 2 }, rule), 'more than the rule asks for');
    assert(!countsBy(sample, ackRule([b, c], 2)));
    assert(!countsBy({ ...sample, status: 'off' }, rule), 'the server has given up waiting');
    assert(!countsBy({ ...sample, waitPoint: 'AFTER_COMMIT' }, rule));
    assert(!countsBy({ ...sample, readers: [ackAccount(memberId('d'))] }, rule), 'an acknowledger that nobody named');
    assert(!countsBy(sample, ALONE));
    assert(countsBy({ ...sample, enabled: 'off', status: 'off' }, ALONE));
  });

  it('is proven for one run of the server only, and not any more when the server shows something else', () => {
    const tracker = new AckTracker();
    assert.deepEqual(tracker.state(1), { running: null, barrier: null });
    tracker.prove(1, rule, position('1-10'));
    assert.deepEqual(tracker.state(1), { running: rule, barrier: position('1-10') });
    assert.equal(tracker.state(2).running, null);
    tracker.seen(1, { ...sample, enabled: 'off' });
    assert.equal(tracker.state(1).running, null);
    tracker.seen(1, sample);
    assert.deepEqual(tracker.state(1).running, rule);
    tracker.forget();
    assert.equal(tracker.state(1).running, null);
  });

  it('is void where commits wait for nobody and a kill would answer them, and where that has happened', () => {
    const tracker = new AckTracker();
    const told = () =>
      tracker.voids(1).map(({ effect, text }) => `${effect}: ${text.split(' ').slice(0, 3).join(' ')}`);
    tracker.prove(1, rule, position('1-10'));
    const alone = { ...sample, readers: [], clients: 0 };
    tracker.seen(1, { ...alone, waiting: 2 }, 0);
    assert.deepEqual(told(), ['assumed: Commits wait for']);
    tracker.seen(1, { ...alone, waiting: 2 });
    assert.deepEqual(told(), [], 'here a kill ends no wait');
    tracker.seen(1, { ...alone, acknowledged: 5, position: position('1-12') }, 0);
    assert.deepEqual(told(), ['loss: Commits were answered']);
    tracker.confirmed(1, [position('1-11')]);
    assert.deepEqual(told(), ['loss: Commits were answered']);
    tracker.confirmed(1, [position('1-12')]);
    assert.deepEqual(told(), []);
    tracker.seen(1, { ...sample, waiting: 0, acknowledged: 5 }, 1);
    tracker.seen(1, { ...sample, waiting: 2, acknowledged: 6 }, 1);
    assert.deepEqual(told(), [], 'a member answered');
    tracker.seen(1, { ...alone, waiting: 0, acknowledged: 7 }, 0);
    assert.deepEqual(told(), [], 'it answered, and went');
    tracker.seen(1, { ...alone, waiting: 0, acknowledged: 8 }, 0);
    assert.deepEqual(told(), ['loss: Commits were answered']);
  });

  it('does not wait for a number that was taken and never written', () => {
    const tracker = new AckTracker();
    tracker.prove(1, rule, position('1-12'));
    tracker.seen(1, { ...sample, position: position('1-10'), inFlight: position('12').set });
    assert.deepEqual(tracker.state(1).barrier, position('1-10:12'));
  });
});

describe('progress of replicas', () => {
  const report = (member: string, from: string | null, silentMs = 5) =>
    [
      memberId(member),
      { position: position('1-9'), streamsFrom: from === null ? null : memberId(from), silentMs },
    ] as const;

  const near = (): boolean => true;

  it('is of somebody who catches up, until it is near or acknowledges', () => {
    const reports = new Map([report('b', 'a'), report('c', 'a')]);
    const kinds = (isNear: boolean): unknown =>
      progressOf('a', [ackAccount(b), 'us_copy'], reports, () => isNear).map(({ member, kind }) => `${member} ${kind}`);
    assert.deepEqual(kinds(false), ['b streaming', 'c catching-up']);
    assert.deepEqual(kinds(true), ['b streaming', 'c streaming']);
  });

  it('is near where the leader was three seconds ago, or at its beginning', () => {
    const past = new PastPositions();
    const [first, second, third] = [position('1-1'), position('1-2'), position('1-3')];
    assert.equal(past.at(first, 0), first);
    assert.equal(past.at(second, 2000), first);
    assert.equal(past.at(third, 4900), first);
    assert.equal(past.at(third, 5000), second);
    assert.equal(past.at(third, 60_000), third);
  });

  it('is the word of those who receive from here', () => {
    const reports = new Map([report('b', 'a'), report('c', 'a'), report('d', 'x'), report('e', null)]);
    const found = progressOf('a', [ackAccount(b), 'us_copy'], reports, near);
    assert.deepEqual(
      found.map(({ member, silentMs }) => [member, silentMs]),
      [
        ['b', 5],
        ['c', 5],
      ],
    );
  });

  it('leaves out who has no connection, or does not know its position', () => {
    assert.deepEqual(progressOf('a', [], new Map([report('b', 'a')]), near), []);
    const unknown = new Map([[b, { position: null, streamsFrom: memberId('a'), silentMs: 0 }]]);
    assert.deepEqual(progressOf('a', [ackAccount(b)], unknown, near), []);
  });
});
