// Goal: what a session has set is what its next server connection is given: no more, no less, and only once it has committed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Classification, EMPTY_STATEMENT, type SessionEffect } from '@understudy/routing';
import { literal, SessionSettings, startupSettings } from '../src/worker/client/session-settings.ts';

const doing = (...effects: SessionEffect[]): Classification => ({ ...EMPTY_STATEMENT, effects, statements: 1 });
const set = (name: string, ...values: string[]): SessionEffect => ({ kind: 'set', name, values, isLocal: false });

test('a setting counts once its transaction has committed', () => {
  const settings = new SessionSettings(new Map());
  settings.note(doing(set('Search_Path', 'a', 'b')));
  assert.equal(settings.text, '');
  settings.settle('kept');
  assert.equal(settings.text, "SET search_path TO 'a', 'b'");
  settings.note(doing(set('work_mem', '1MB')));
  settings.settle('undone');
  assert.equal(settings.text, "SET search_path TO 'a', 'b'");
});

test('the role is set last: it may not be allowed to set the others', () => {
  const settings = new SessionSettings(
    new Map([
      ['work_mem', ['1MB']],
      ['role', ['r']],
      ['session_authorization', ['s']],
    ]),
  );
  assert.equal(settings.text, "SET work_mem TO '1MB'; SET session_authorization TO 's'; SET role TO 'r'");
});

test("what is local to a transaction is nobody else's", () => {
  const settings = new SessionSettings(new Map());
  settings.note(doing({ kind: 'set', name: 'work_mem', values: ['1MB'], isLocal: true }));
  assert.equal(settings.hasPending, false);
});

test('a reset goes back to what the client began with', () => {
  const settings = new SessionSettings(new Map([['work_mem', ['2MB']]]));
  settings.note(doing(set('work_mem', '1MB'), set('lock_timeout', '1s')));
  settings.settle('kept');
  settings.note(doing({ kind: 'reset', name: 'work_mem' }));
  settings.settle('kept');
  assert.equal(settings.text, "SET lock_timeout TO '1s'; SET work_mem TO '2MB'");
  settings.note(doing({ kind: 'reset-all' }));
  settings.settle('kept');
  assert.equal(settings.text, "SET work_mem TO '2MB'");
});

test('what cannot be followed is said', () => {
  const settings = new SessionSettings(new Map());
  assert.equal(settings.note(doing(set('a b', '1'))), false);
  const mode = { isReadOnly: true, isolation: null };
  assert.equal(settings.note(doing({ kind: 'transaction-mode', scope: 'session', mode })), false);
  settings.note(doing(set('work_mem', '1MB')));
  const back: Classification = { ...EMPTY_STATEMENT, transaction: { kind: 'rollback-to', name: 's' } };
  assert.equal(settings.note(back), false);
});

test('a value cannot end its own literal', () => {
  assert.equal(literal("a'; DROP TABLE t; --"), "'a''; DROP TABLE t; --'");
  assert.equal(literal("\\'; x"), " E'\\\\''; x'");
});

test('startup parameters: options, lists of names, what is no setting', () => {
  const settings = startupSettings(
    new Map([
      ['user', 'me'],
      ['database', 'd'],
      ['options', '-c work_mem=1MB --lock-timeout=2s -csearch_path=A,"B\\ c"'],
      ['application_name', 'x, y'],
      ['_pq_.x', '1'],
    ]),
  );
  assert.deepEqual(
    [...settings],
    [
      ['work_mem', ['1MB']],
      ['lock_timeout', ['2s']],
      ['search_path', ['a', 'B c']],
      ['application_name', ['x, y']],
    ],
  );
});

for (const [name, options] of [
  ['an empty name', '-c =1'],
  ['no value', '-c work_mem'],
  ['an option of the server process', '-F'],
  ['a name that is SQL', '-c a;b=1'],
] as const) {
  test(`refused: ${name}`, () => {
    assert.throws(() => startupSettings(new Map([['options', options]])), RangeError);
  });
}
