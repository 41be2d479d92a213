/** Goal: a write to the store changes exactly its own part of the content, at its own revision. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyPut, EMPTY_CONTENT, revision, type StoreContent, type StoreWrite } from '../src/index.ts';
import { content, member, n1, n2, process1, record, seal } from './support/build.ts';
import { at } from './support/positions.ts';

const AT = revision(77);

/** The names of the parts that differ after `put`. */
function changed(before: StoreContent, put: StoreWrite): readonly string[] {
  const after = applyPut(before, put, AT);
  return (Object.keys(after) as (keyof StoreContent)[]).filter((part) => after[part] !== before[part]);
}

const stored = seal(at(5, 4500));

test('each key changes its own part, and keeps the revision', () => {
  const before = content();
  assert.deepEqual(changed(before, { key: 'record', value: record() }), ['record']);
  assert.deepEqual(applyPut(before, { key: 'record', value: record() }, AT).record?.revision, AT);
  assert.deepEqual(changed(before, { key: 'paused', value: true }), ['paused']);
  assert.deepEqual(changed(before, { key: `members/${n2}`, value: member(n2) }), ['members']);
  assert.deepEqual(changed(before, { key: `seals/${n2}`, value: stored }), ['seals']);
  const sealed = applyPut(before, { key: `seals/${n2}`, value: stored }, AT);
  assert.deepEqual(sealed.seals.get(n2), { value: stored, revision: AT });
  const held = applyPut(before, { key: `sessions/${n1}`, value: process1(n1) }, AT);
  assert.deepEqual(held.sessions.get(n1), { value: process1(n1), revision: AT });
});

test('what is deleted is gone, and nothing else', () => {
  const before = content({ seals: { n2: stored } });
  assert.equal(applyPut(before, { key: `seals/${n2}`, value: 'delete' }, AT).seals.size, 0);
  assert.equal(applyPut(before, { key: `sessions/${n1}`, value: 'delete' }, AT).sessions.has(n1), false);
  assert.equal(
    applyPut(before, { key: `sessions/${n1}`, value: 'delete' }, AT).sessions.size,
    before.sessions.size - 1,
  );
  assert.equal(applyPut(before, { key: 'request', value: 'delete' }, AT).request, null);
});

test('history and outcomes are no part of what decisions look at', () => {
  const outcome = { id: 'r', kind: 'restart', result: 'done', reason: 'x', wallMs: 1 } as const;
  assert.equal(applyPut(EMPTY_CONTENT, { key: 'outcomes/r', value: outcome }, AT), EMPTY_CONTENT);
});
