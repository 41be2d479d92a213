import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GtidPosition } from '@understudy/core';
import { type ApplierFacts, applyCause, receiveCause } from '../src/checks/lag-cause.ts';
import { PreparedWatch, preparedWarning, xidOf } from '../src/checks/prepared.ts';
import { parseMysqlGtids } from '../src/gtid/mysql.ts';
import { ApplierWatch, adviceFor, applierWarning } from '../src/observe/applier.ts';
import type { Channel } from '../src/observe/channel.ts';
import { ErrantFinds, errantOf, errantSet } from '../src/observe/errant.ts';
import { LagWatch } from '../src/observe/lag.ts';

const channel: Channel = {
  host: '127.0.0.1',
  port: 3306,
  user: 'us_copy',
  sourceUuid: '',
  security: 'key',
  receiver: 'running',
  receiverError: null,
  applier: 'running',
  applierError: null,
  applierState: '',
  received: '',
  usesGtids: 'yes',
  relay: { file: '', pos: '' },
  delayS: 0,
  filters: [],
  sign: '',
};
const stopped: Channel = { ...channel, applier: 'stopped', applierError: { number: 1062, text: 'Duplicate\nentry' } };

describe('an applier', () => {
  it('that is started again after an error is well only when it has gone on, or has nothing left', () => {
    const watch = new ApplierWatch();
    assert.equal(watch.look(channel, 'something', 0), null);
    assert.equal(watch.look(stopped, 'something', 100)?.number, 1062);
    assert.equal(watch.look(channel, 'something', 1100)?.number, 1062);
    assert.equal(watch.look(stopped, 'something', 1200)?.number, 1062);
    assert.equal(watch.look(channel, 'something', 2100)?.number, 1062);
    assert.equal(watch.look(channel, 'something', 4100), null);
    watch.look(stopped, 'something', 5000);
    assert.equal(watch.look(channel, 'nothing', 5100), null);
    watch.look(stopped, 'something', 6000);
    assert.equal(watch.look(null, 'something', 6100), null);
  });

  it('that cannot read what was received is damaged once that has lasted, and only then', () => {
    const unreadable: Channel = { ...stopped, applierError: { number: 13121, text: 'Relay log read failure' } };
    const watch = new ApplierWatch();
    watch.look(stopped, 'something', 0);
    assert.equal(watch.damage(10_000), null, 'another error');
    watch.look(unreadable, 'something', 10_000);
    assert.equal(watch.damage(12_000), null);
    watch.look(channel, 'something', 12_500);
    watch.look(unreadable, 'something', 13_000);
    assert.match(watch.damage(13_000) ?? '', /^error 13121: Relay log read failure$/);
    watch.look(channel, 'nothing', 14_000);
    assert.equal(watch.damage(20_000), null, 'it went on');
  });

  it('has its error told in one line, with what to do', () => {
    const text = applierWarning({ number: 1062, text: 'Duplicate\nentry' });
    assert.match(text, /error 1062: Duplicate entry\. .*understudy reinit/);
    assert.match(adviceFor(1205), /End|end that session/);
    assert.match(adviceFor(9999), /tried again/);
  });
});

describe('lag', () => {
  const at = (last: bigint): GtidPosition => ({
    kind: 'gtid',
    set: new Map([['1', [{ first: 1n, last }]]]),
    timelines: [1],
    bytesPerTransaction: 1,
  });

  it('is how long something received has not been applied, not that there is always more', () => {
    const watch = new LagWatch();
    watch.look(at(10n), at(5n), 0);
    watch.look(at(20n), at(10n), 1000);
    assert.equal(watch.lagMs, 0);
    watch.look(at(30n), at(19n), 4000);
    assert.equal(watch.lagMs, 3000);
    watch.look(at(30n), at(20n), 5000);
    assert.equal(watch.lagMs, 0);
    watch.look(at(40n), at(20n), 6000);
    watch.look(at(25n), at(25n), 9000);
    assert.equal(watch.lagMs, 0, 'the rest was thrown away when the leader changed');
  });
});

describe('why a replica lags', () => {
  const idle = ['Waiting for an event from Coordinator', 'Waiting for source to send event'];
  const facts: ApplierFacts = {
    lagMs: 4000,
    delayS: 0,
    applier: 'running',
    transaction: null,
    states: [idle, idle, idle],
    workers: { name: 'replica_parallel_workers', count: '4' },
  };
  const transaction = { seconds: 3, changedRows: '70000', lockWait: null };
  const committing = ['waiting for handler commit', ...idle];
  const cases: readonly (readonly [string, Partial<ApplierFacts>, RegExp])[] = [
    ['delayed', { delayS: 60, transaction }, /delayed on purpose by 60 s/],
    ['stopped', { applier: 'stopped' }, /applier is stopped/],
    ['locked out', { transaction: { ...transaction, lockWait: 'of a row' } }, /waits for a lock \(of a row\)/],
    ['in a long transaction', { transaction }, /one transaction of 70000 row changes so far, for 3 s/],
    ['on a slow disk', { states: [committing, idle, committing] }, /disk is slow/],
    ['on a slow disk of MariaDB', { states: [['Commit'], ['Commit'], idle] }, /disk is slow/],
    [
      'single-threaded',
      { workers: { name: 'slave_parallel_threads', count: '0' } },
      /one thread.*slave_parallel_threads/,
    ],
    ['saturated', { states: [committing, idle, idle] }, /than its 4 applier threads can apply/],
  ];
  for (const [name, some, named] of cases) {
    it(name, () => assert.match(applyCause({ ...facts, ...some }), named));
  }

  it('in what it receives', () => {
    const queueing = ['Queueing master event to the relay log'];
    assert.match(
      receiveCause(3000, 'n1', [idle, idle, queueing]),
      /n1 wrote 3 s ago: the network between them is slow/,
    );
    assert.match(receiveCause(3000, 'n1', [idle, queueing, queueing]), /its own disk is slow/);
    assert.match(receiveCause(3000, 'n1', [[], [], []]), /not connected/);
  });
});

describe('prepared transactions', () => {
  it('have an id that XA COMMIT takes, as either product writes it', () => {
    const row = { formatID: '1', gtrid_length: '2', bqual_length: '1', data: '0x6F7231' };
    assert.equal(xidOf(row), "X'6F72',X'31',1");
    assert.equal(xidOf({ formatID: '1', gtrid_length: '2', bqual_length: '1', data: "'or','1'" }), "'or','1'");
  });

  it('are told of at once after an opening, otherwise when nobody has decided for long', () => {
    const watch = new PreparedWatch();
    assert.deepEqual(watch.look(['a'], 'forgotten', 0), []);
    assert.deepEqual(watch.look(['a', 'b'], 'forgotten', 30_000), ['a']);
    assert.deepEqual(new PreparedWatch().look(['a'], 'all', 0), ['a']);
    assert.equal(preparedWarning([]), null);
    assert.match(preparedWarning(['a', 'b', 'c', 'd', 'e', 'f', 'g']) ?? '', /^7 .* a; b; c; d; e and 2 more\./);
  });
});

describe('errant transactions', () => {
  const [here, former, leader] = [
    '11111111-1111-4111-8111-111111111111',
    '22222222-2222-4222-8222-222222222222',
    '33333333-3333-4333-8333-333333333333',
  ];
  const set = (text: string) => parseMysqlGtids(text) ?? new Map();

  it('are those of every server but the leader, which a replica may be ahead of', () => {
    const held = set(`${here}:1-3,${former}:1-9,${leader}:1-50,${leader}:tag:1-3`);
    assert.deepEqual(errantSet(held, set(`${here}:1-3,${former}:1-9,${leader}:1-40`), leader), new Map());
    const tail = errantSet(held, set(`${here}:1-3,${former}:1-7,${leader}:1-50`), leader);
    assert.deepEqual(errantOf(tail, here), { gtids: `${former}:8-9`, written: 'elsewhere' });
    const own = errantSet(held, set(`${former}:1-9`), leader);
    assert.deepEqual(errantOf(own, here), { gtids: `${here}:1-3`, written: 'here' });
    assert.equal(errantOf(new Map(), here), null);
  });

  it('count when they are seen twice, in one run of the server', () => {
    const finds = new ErrantFinds();
    finds.note(1, { gtids: 'x:1', written: 'here' });
    assert.equal(finds.of(1), null);
    finds.note(1, { gtids: 'x:1-2', written: 'here' });
    assert.match(finds.of(1) ?? '', /x:1-2 is on no other member/);
    assert.equal(finds.of(2), null);
    finds.note(1, null);
    assert.equal(finds.of(1), null);
  });
});
