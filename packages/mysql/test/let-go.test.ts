import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBlindHour } from '../src/commands/let-go.ts';

describe('letting go of a silent source', () => {
  it('is not done in the hours in which an event with a header too many would pass for one without a checksum', () => {
    const at = (text: string): boolean => isBlindHour(Date.parse(text));
    // The third byte of these times is 1.
    assert.equal(at('2026-11-21T02:20:48Z'), true);
    assert.equal(at('2026-11-21T12:00:00Z'), true);
    assert.equal(at('2026-11-21T20:33:03Z'), true);
    assert.equal(at('2026-11-20T12:00:00Z'), false);
    assert.equal(at('2026-11-22T12:00:00Z'), false);
    assert.equal(at('2027-06-03T12:00:00Z'), true, 'it comes again after 194 days');
  });

  it('keeps an hour of distance from them, as clocks differ', () => {
    const first = Date.parse('2026-11-21T02:20:48Z');
    assert.equal(isBlindHour(first - 3_599_000), true);
    assert.equal(isBlindHour(first - 3_601_000), false);
  });
});
