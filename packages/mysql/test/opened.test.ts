import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Phase, type Role, roleOf } from '../src/observe/opened.ts';
import { OutsideChanges } from '../src/observe/outside.ts';

describe('the role of a server', () => {
  const cases: readonly (readonly [Phase | null, boolean, Role['role'], Role['by']])[] = [
    ['fenced', false, 'replica', 'agent'],
    // An opening that did not come to its end may not have happened; one that did is seen by the server being open.
    ['opening', false, 'replica', 'agent'],
    ['opening', true, 'primary', 'agent'],
    ['open', true, 'primary', 'agent'],
    // Somebody has closed the leader: its acknowledgers still answer it.
    ['open', false, 'primary', 'outside'],
    ['closing', false, 'primary', 'agent'],
    ['closing', true, 'primary', 'agent'],
    // Somebody has opened what its agent keeps closed.
    ['fenced', true, 'primary', 'outside'],
    // A server of an earlier version, whose agents noted nothing.
    [null, true, 'primary', 'agent'],
    [null, false, 'replica', 'agent'],
  ];
  for (const [phase, isOpen, role, by] of cases) {
    it(`is ${role} by ${by} when it was noted as ${phase} and is ${isOpen ? 'open' : 'closed'}`, () => {
      assert.deepEqual(roleOf(phase, isOpen), { role, by });
    });
  }
});

describe('what was changed from outside', () => {
  it('is logged once and told for ten minutes after it was seen last', () => {
    const logged: string[] = [];
    const changes = new OutsideChanges(({ message }) => logged.push(message));
    changes.note('events', 'on', 0);
    changes.note('events', 'on', 300_000);
    assert.deepEqual(logged, ['on']);
    assert.deepEqual(changes.warnings(800_000), ['on']);
    assert.deepEqual(changes.warnings(900_001), []);
    changes.note('events', 'on', 950_000);
    assert.equal(logged.length, 2);
  });
});
