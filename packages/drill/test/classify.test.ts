import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outcomeOfError, outcomeOfSuccess } from '../src/workload/classify.ts';

test('an ERROR of the server proves that nothing was written', () => {
  assert.equal(outcomeOfError({ code: '25006', severity: 'ERROR' }), 'fail');
  assert.equal(outcomeOfError({ code: '40001', severity: 'ERROR' }), 'fail');
});

test('the end of a session can come after the commit record', () => {
  assert.equal(outcomeOfError({ code: '57P01', severity: 'FATAL' }), 'info');
  assert.equal(outcomeOfError({ code: 'XX000', severity: 'PANIC' }), 'info');
});

test('a lost connection or a deadline proves nothing', () => {
  assert.equal(outcomeOfError({ code: 'ECONNRESET', severity: null }), 'info');
  assert.equal(outcomeOfError({ code: 'DEADLINE', severity: null }), 'info');
  assert.equal(outcomeOfError({ code: null, severity: null }), 'info');
});

test('success with a cancelled wait for replicas is not an acknowledgement', () => {
  const notice = { code: '01000', message: 'canceling wait for synchronous replication due to user request' };
  const onShutdown = {
    code: '01000',
    message: 'canceling the wait for synchronous replication and terminating connection due to administrator command',
  };
  assert.equal(outcomeOfSuccess([notice]), 'info');
  assert.equal(outcomeOfSuccess([onShutdown]), 'info');
  assert.equal(outcomeOfSuccess([{ code: '00000', message: 'table "x" does not exist, skipping' }]), 'ok');
  assert.equal(outcomeOfSuccess([]), 'ok');
});
