// Goal: what a client is told when its server is lost never promises more, nor less, than what can be known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_STATEMENT } from '@understudy/routing';
import { type AtLoss, lossError, lossOutcome, signOf, underWayOf } from '../src/worker/client/loss.ts';
import type { Ended } from '../src/worker/server/server-connection.ts';

const told = (code: string): Ended => ({ kind: 'told', error: { severity: 'FATAL', code, message: 'told' } });
const lost = (code: string): Ended => ({ kind: 'lost', code, message: 'lost' });
const ways: readonly Ended[] = [
  told('57P01'),
  told('57P02'),
  told('XX000'),
  lost('ECONNRESET'),
  lost('EOF'),
  lost('DEMOTED'),
  lost('PROTOCOL'),
  { kind: 'closed' },
];

const at = (some: Partial<AtLoss>): AtLoss => ({
  underWay: 'read',
  isInTransaction: false,
  isBusy: true,
  isCopyingIn: false,
  isForwarded: false,
  isPinned: false,
  ...some,
});

const cells: readonly (readonly [string, AtLoss, string])[] = [
  ['a read, nothing forwarded', at({}), 'replay'],
  ['a read, forwarded', at({ isForwarded: true }), '08006'],
  ['a write', at({ underWay: 'write' }), '08007'],
  ['a write, forwarded', at({ underWay: 'write', isForwarded: true }), '08007'],
  ['a copy whose end was not sent', at({ underWay: 'write', isCopyingIn: true }), '40001'],
  ['a statement of a transaction', at({ underWay: 'transaction', isInTransaction: true }), '40001'],
  ['a write of a transaction', at({ underWay: 'write', isInTransaction: true }), '40001'],
  ['an open transaction, nothing under way', at({ isBusy: false, isInTransaction: true }), '40001'],
  ['a COMMIT', at({ underWay: 'commit', isInTransaction: true }), '08007'],
  ['a COMMIT of a session with state', at({ underWay: 'commit', isInTransaction: true, isPinned: true }), '08007'],
  ['a session with state, nothing under way', at({ isBusy: false, isPinned: true }), '57P01'],
  ['nothing', at({ isBusy: false }), 'pass'],
];

for (const [name, state, expected] of cells) {
  test(`the server is lost in whatever way during: ${name}`, () => {
    for (const ended of ways) {
      const outcome = lossOutcome(ended, state);
      const said = lossError(ended, state)?.code ?? outcome.action;
      assert.equal(said, expected, JSON.stringify(ended));
    }
  });
}

test('signs', () => {
  assert.deepEqual(ways.map(signOf), [
    'shutting-down',
    'crashed',
    'lost',
    'lost',
    'lost',
    'superseded',
    'protocol',
    'lost',
  ]);
});

test('what a statement puts under way', () => {
  const one = { ...EMPTY_STATEMENT, statements: 1 };
  const begin = { kind: 'begin', mode: { isReadOnly: null, isolation: null } } as const;
  assert.equal(underWayOf(one, false), 'read');
  assert.equal(underWayOf({ ...one, mayWrite: true }, false), 'write');
  assert.equal(underWayOf({ ...one, mayWrite: true }, true), 'transaction');
  assert.equal(underWayOf({ ...one, transaction: begin }, false), 'read');
  assert.equal(underWayOf({ ...one, transaction: begin, statements: 2 }, false), 'transaction');
  assert.equal(underWayOf({ ...one, mayWrite: true, knowledge: 'none' }, true), 'commit');
  assert.equal(underWayOf({ ...one, mayWrite: true, knowledge: 'none' }, false), 'write');
  assert.equal(underWayOf({ ...one, mayWrite: true, knowledge: 'calls-unknown' }, true), 'transaction');
  for (const mayWrite of [false, true]) {
    assert.equal(underWayOf({ ...one, mayWrite, transaction: { kind: 'commit', isChained: false } }, true), 'commit');
    assert.equal(underWayOf({ ...one, mayWrite, transaction: { kind: 'several' } }, false), 'commit');
  }
});
