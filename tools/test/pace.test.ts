/** Goal: a slow machine is slower, not red. Method: values, and one measurement of this machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureStarts, paceOf } from './pace.ts';

const wanted = { jobs: 4, timeoutMs: 600_000 };

test('an ordinary machine gets what was wanted, and a fast one no more', () => {
  for (const startsMs of [[60, 60, 60], [10, 12, 11], []])
    assert.deepEqual(paceOf(startsMs, wanted), { slowness: 1, ...wanted });
});

test('a slow machine runs fewer files at once, and gives each more time', () => {
  assert.deepEqual(paceOf([120, 120, 120], wanted), { slowness: 2, jobs: 2, timeoutMs: 1_200_000 });
});

test('one slow start is no slow machine', () => {
  assert.equal(paceOf([55, 900, 58, 54, 60], wanted).slowness, 1);
});

test('there is an end: two files run at once, and no file has all day', () => {
  assert.deepEqual(paceOf([9_000], wanted), { slowness: 6, jobs: 2, timeoutMs: 3_600_000 });
  assert.equal(paceOf([9_000], { ...wanted, jobs: 1 }).jobs, 1);
});

test('this machine can be measured', async () => {
  const startsMs = await measureStarts();
  assert.ok(startsMs.length === 5 && startsMs.every((ms) => ms > 0));
});
