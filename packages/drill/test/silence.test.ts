// Goal: what is acknowledged while nobody is there to acknowledge it is found, and nothing else is. Method: histories by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acknowledgedInSilence } from '../src/check/silence.ts';
import { op } from './histories.ts';

const silence = { fromMs: 100, toMs: 200 };

test('an insert that began and was acknowledged while nobody was there is found', () => {
  const bad = op(1, { invokeMs: 120, completeMs: 130 });
  assert.deepEqual(acknowledgedInSilence([bad], silence), [bad]);
});

test('one that began before, ended after, or was not acknowledged, is not', () => {
  const ops = [
    op(1, { invokeMs: 90, completeMs: 130 }),
    op(2, { invokeMs: 150, completeMs: 210 }),
    op(3, { invokeMs: 120, completeMs: 130, outcome: 'info' }),
    op(4, { invokeMs: 120, completeMs: 130, outcome: 'fail' }),
  ];
  assert.deepEqual(acknowledgedInSilence(ops, silence), []);
  assert.deepEqual(acknowledgedInSilence(ops, null), []);
});
