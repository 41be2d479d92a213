/** Silence counts only while the observer itself ran: a frozen or starved process must not take its own absence for that of others. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ms } from '@understudy/core';
import fc from 'fast-check';
import { RunningClock } from '../src/time/clock.ts';

const TICK_MS = 250;

describe('running clock', () => {
  it('counts at most two ticks for any pause between ticks, however long', () => {
    const pauses = fc.array(fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 10_000_000 })));
    fc.assert(
      fc.property(pauses, (durations) => {
        const clock = new RunningClock(TICK_MS, ms(0));
        let now = 0;
        let counted = 0;
        for (const duration of durations) {
          now += duration;
          const lost = clock.tick(ms(now));
          counted += Math.min(duration, 2 * TICK_MS);
          assert.equal(clock.at(ms(now)), counted);
          assert.equal(lost, Math.max(0, duration - TICK_MS));
        }
      }),
    );
  });

  it('never goes back, whenever it is read', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 3_000 }))), (steps) => {
        const clock = new RunningClock(TICK_MS, ms(0));
        let now = 0;
        let last = 0;
        for (const [ticks, duration] of steps) {
          now += duration;
          if (ticks) clock.tick(ms(now));
          const at = clock.at(ms(now));
          assert.ok(at >= last, `${at} after ${last}`);
          last = at;
        }
      }),
    );
  });

  it('keeps a thawed observer from suspecting: an hour of absence is half a second of silence', () => {
    const clock = new RunningClock(TICK_MS, ms(0));
    clock.tick(ms(250));
    const heardAt = clock.at(ms(250));
    assert.ok(clock.at(ms(3_600_000)) - heardAt <= 2 * TICK_MS);
    clock.tick(ms(3_600_000));
    assert.ok(clock.at(ms(3_600_000)) - heardAt <= 2 * TICK_MS);
  });
});
