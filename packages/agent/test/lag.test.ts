/** Lag in time from position samples: 0 when all is there, also on an idle leader; otherwise the age of what the replica shows. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lsn, type Position } from '@understudy/core';
import fc from 'fast-check';
import { LagMeter } from '../src/lag/meter.ts';

const at = (offset: number): Position => ({ kind: 'wal', timeline: 1, lsn: lsn(BigInt(offset)), history: [] });

describe('lag meter', () => {
  it('knows nothing without samples', () => {
    assert.equal(new LagMeter().lag(at(5), 0), null);
  });

  it('is 0 for a replica that shows everything, however long the leader has been idle', () => {
    const meter = new LagMeter();
    for (let time = 0; time < 100_000; time += 250) meter.sample('n1', at(7), time, time);
    assert.deepEqual(meter.lag(at(7), 100_000), { ms: 0, precision: 'exact' });
    assert.deepEqual(meter.lag(at(9), 100_000), { ms: 0, precision: 'exact' });
  });

  it('counts from the last moment in which the leader was where the replica is', () => {
    const meter = new LagMeter();
    for (let time = 0; time <= 60_000; time += 250) meter.sample('n1', at(7), time, time);
    meter.sample('n1', at(8), 60_250, 60_250);
    assert.deepEqual(meter.lag(at(7), 60_250), { ms: 250, precision: 'exact' });
    assert.deepEqual(meter.lag(at(7), 61_250), { ms: 1_250, precision: 'exact' });
  });

  it('begins anew with another leader, whose clock says nothing about the old one', () => {
    const meter = new LagMeter();
    meter.sample('n1', at(7), 1_000_000, 0);
    meter.sample('n2', at(8), 5, 10);
    assert.deepEqual(meter.lag(at(6), 20), { ms: 10, precision: 'at-least' });
  });

  it('is never less than the true age by more than the distance of samples, under any load and any delay', () => {
    // A leader writes `rate` bytes a tick; the replica is `behind` ticks behind it. Samples come every tick.
    const tickMs = 250;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.integer({ min: 0, max: 400 }),
        fc.integer({ min: 500, max: 2_000 }),
        (rate, behind, ticks) => {
          const meter = new LagMeter();
          for (let tick = 0; tick <= ticks; tick++) meter.sample('n1', at(tick * rate), tick * tickMs, tick * tickMs);
          const lag = meter.lag(at((ticks - behind) * rate), ticks * tickMs);
          assert.ok(lag !== null);
          const trueMs = behind * tickMs;
          // Older samples are thinned: then the lag is overstated, by less than a factor of two, and never understated.
          if (lag.precision === 'exact')
            assert.ok(lag.ms >= trueMs && lag.ms <= 2 * trueMs + tickMs, `${lag.ms} for ${trueMs}`);
        },
      ),
    );
  });
});
