/** Goal: a bad node is taken out and comes back; retries never make a storm. Method: sequences of outcomes with given times and draws. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ms } from '@understudy/core';
import fc from 'fast-check';
import {
  admission,
  afterLatency,
  afterOutcome,
  backoffMs,
  DEFAULT_BACKOFF,
  DEFAULT_RETRY_POLICY,
  earnRetries,
  HEALTHY,
  type NodeHealth,
  newRetryBudget,
  type Outcome,
  DEFAULT_HEALTH_POLICY as POLICY,
  startProbe,
  takeRetry,
} from '../src/index.ts';

const after = (health: NodeHealth, outcomes: readonly Outcome[], nowMs = 0, draw = 1) =>
  outcomes.reduce((each, outcome) => afterOutcome(each, outcome, ms(nowMs), POLICY, draw), health);

describe('a node', () => {
  test('is taken out after failures in a row, and a success in between counts', () => {
    assert.equal(after(HEALTHY, ['failure', 'failure']).kind, 'closed');
    assert.equal(after(HEALTHY, ['failure', 'failure', 'failure']).kind, 'open');
    assert.equal(after(HEALTHY, ['failure', 'failure', 'success', 'failure', 'failure']).kind, 'closed');
  });

  test('is never blamed for what failed on this side', () => {
    assert.deepEqual(after(HEALTHY, Array(50).fill('local')), HEALTHY);
    const probing = startProbe(after(HEALTHY, ['failure', 'failure', 'failure']), ms(2000));
    assert.deepEqual(after(probing, ['local']), probing);
  });

  test('is tried once after its time, and is out twice as long when that fails', () => {
    const out = after(HEALTHY, ['failure', 'failure', 'failure']);
    assert.equal(admission(out, ms(999), POLICY), 'no');
    assert.equal(admission(out, ms(1000), POLICY), 'probe');
    const probing = startProbe(out, ms(1000));
    assert.equal(admission(probing, ms(1001), POLICY), 'no');
    assert.equal(admission(probing, ms(3000), POLICY), 'probe');
    const again = after(probing, ['failure'], 1100);
    assert.deepEqual(again, { kind: 'open', untilMs: 3100, ejections: 2 });
    assert.equal(after(probing, ['success']).kind, 'closed');
  });

  test('is not taken back by an answer that was under way when it was taken out', () => {
    const out = after(HEALTHY, ['failure', 'failure', 'failure']);
    assert.deepEqual(after(out, ['success']), out);
  });

  test('is out for a bounded time, spread by the draw', () => {
    fc.assert(
      fc.property(fc.nat(60), fc.double({ min: 0, max: 0.999, noNaN: true }), (ejections, draw) => {
        const found = afterOutcome({ kind: 'closed', failures: 2, ejections }, 'failure', ms(0), POLICY, draw);
        assert.ok(found.kind === 'open' && found.untilMs >= POLICY.ejectMs / 2 && found.untilMs <= POLICY.ejectMaxMs);
      }),
    );
  });
});

test('latency follows what is measured', () => {
  assert.equal(afterLatency(0, 7), 7);
  assert.ok(Math.abs(afterLatency(10, 20) - 12) < 1e-9);
});

describe('retries', () => {
  test('are a share of the load, and a few more', () => {
    let budget = { ...newRetryBudget(ms(0), DEFAULT_RETRY_POLICY), tokens: 0 };
    assert.equal(takeRetry(budget, ms(0), DEFAULT_RETRY_POLICY), null);
    budget = earnRetries(budget, 10, ms(0), DEFAULT_RETRY_POLICY);
    assert.notEqual(takeRetry(budget, ms(0), DEFAULT_RETRY_POLICY), null);
    assert.notEqual(takeRetry({ tokens: 0, atMs: ms(0) }, ms(100), DEFAULT_RETRY_POLICY), null);
  });

  test('never exceed their share, however many fail', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 500 }), (wanted) => {
        let budget = newRetryBudget(ms(0), DEFAULT_RETRY_POLICY);
        let taken = 0;
        for (const isRetry of wanted) {
          budget = earnRetries(budget, 1, ms(0), DEFAULT_RETRY_POLICY);
          const next = isRetry ? takeRetry(budget, ms(0), DEFAULT_RETRY_POLICY) : null;
          if (next !== null) taken += 1;
          budget = next ?? budget;
        }
        assert.ok(taken <= DEFAULT_RETRY_POLICY.tokensMax + wanted.length * DEFAULT_RETRY_POLICY.share);
      }),
    );
  });

  test('wait between nothing and a bound that doubles', () => {
    assert.equal(backoffMs(1, DEFAULT_BACKOFF, 0), 0);
    assert.equal(backoffMs(1, DEFAULT_BACKOFF, 0.5), 5);
    assert.equal(backoffMs(3, DEFAULT_BACKOFF, 0.5), 20);
    assert.equal(backoffMs(99, DEFAULT_BACKOFF, 0.5), 500);
  });
});
