/** Goal: an error says what happened and what to do, each in its place. Method: values, and a program that throws one. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { codeOf, defineErrors, problemOf, reasonOf, UnderstudyError } from '@understudy/base';

const TankError = defineErrors('TankError', {
  TANK_EMPTY: { meaning: 'Nothing is left.', retry: 'safe', next: 'Fill the tank.' },
  TANK_LEAKS: { meaning: 'It loses water.', retry: 'unsafe', next: '' },
});
type TankError = InstanceType<typeof TankError>;

describe('an error of a table', () => {
  test('has what its table says where its thrower says no more', () => {
    const error: TankError = new TankError('TANK_EMPTY', 'Tank 3 holds 0 l.');
    assert.deepEqual([error.code, error.retry, error.next], ['TANK_EMPTY', 'safe', 'Fill the tank.']);
    assert.deepEqual([error.message, error.problem], ['Tank 3 holds 0 l.', 'Tank 3 holds 0 l.']);
  });

  test('ends its message with the next step of its own case', () => {
    const error = new TankError('TANK_EMPTY', 'Tank 3 holds 0 l.', { next: 'Open valve 3.', retry: 'unknown' });
    assert.equal(error.message, 'Tank 3 holds 0 l. Open valve 3.');
    assert.deepEqual([error.problem, error.next, error.retry], ['Tank 3 holds 0 l.', 'Open valve 3.', 'unknown']);
  });

  test('has no next step where its thrower says that there is none', () => {
    const error = new TankError('TANK_EMPTY', 'Tank 3 holds 0 l.', { next: '' });
    assert.deepEqual([error.message, error.next], ['Tank 3 holds 0 l.', '']);
  });

  test('keeps its cause, and has none where none was given', () => {
    const cause = new Error('valve');
    assert.equal(new TankError('TANK_LEAKS', 'Wet.', { cause }).cause, cause);
    assert.equal('cause' in new TankError('TANK_LEAKS', 'Wet.'), false);
  });

  test('is recognised as its own kind and as ours, and as no other', () => {
    const OtherError = defineErrors('OtherError', { OTHER: { meaning: 'x', retry: 'safe', next: '' } });
    const error: unknown = new TankError('TANK_LEAKS', 'Wet.');
    assert.ok(error instanceof TankError && error instanceof UnderstudyError && error instanceof Error);
    assert.ok(!(error instanceof OtherError));
    assert.ok(TankError.isCode('TANK_EMPTY') && !TankError.isCode('OTHER') && !TankError.isCode('toString'));
  });

  test('goes by its name in stacks and logs, with the problem once', () => {
    const error = new TankError('TANK_LEAKS', 'Wet.');
    assert.equal(error.name, 'TankError');
    assert.match(error.stack ?? '', /^TankError: Wet\.\n/);
    assert.deepEqual(Object.keys(error), ['code', 'retry', 'next']);
    assert.equal(inspect(error).match(/Wet\./g)?.length, 1);
  });
});

test('reasonOf finds the text of whatever was thrown', () => {
  assert.equal(reasonOf(new Error('broken')), 'broken');
  assert.equal(reasonOf('broken'), 'broken');
  assert.equal(reasonOf(new AggregateError([new Error('a'), 'b'])), 'a; b');
  assert.equal(reasonOf(new AggregateError([new Error('a')], 'all failed')), 'all failed');
});

test('problemOf leaves out the next step', () => {
  assert.equal(
    problemOf(new TankError('TANK_EMPTY', 'Tank 3 holds 0 l.', { next: 'Open valve 3.' })),
    'Tank 3 holds 0 l.',
  );
  assert.equal(problemOf(new Error('broken')), 'broken');
});

test('codeOf finds a code that is a text', () => {
  assert.equal(codeOf(Object.assign(new Error('x'), { code: 'ENOENT' })), 'ENOENT');
  assert.equal(codeOf(new TankError('TANK_LEAKS', 'Wet.')), 'TANK_LEAKS');
  for (const none of [new Error('x'), { code: 5 }, null, undefined, 'ENOENT']) assert.equal(codeOf(none), null);
});
