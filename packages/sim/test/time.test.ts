/** Virtual time: order, and nothing that depends on the machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HostClock } from '../src/time/clock.ts';
import { randomFor } from '../src/time/random.ts';
import { Scheduler } from '../src/time/scheduler.ts';

test('actions run in the order of their times, those of one instant in the order in which they were planned', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 200 }), (times) => {
      const scheduler = new Scheduler();
      const ran: { readonly time: number; readonly index: number }[] = [];
      times.forEach((time, index) => {
        scheduler.at(time, () => ran.push({ time, index }));
      });
      while (scheduler.step(1000));
      const expected = times
        .map((time, index) => ({ time, index }))
        .sort((a, b) => a.time - b.time || a.index - b.index);
      assert.deepEqual(ran, expected);
    }),
  );
});

test('nothing runs before its time, and time stands at the limit when nothing is left', () => {
  const scheduler = new Scheduler();
  let ran = 0;
  scheduler.after(10, () => {
    ran += 1;
  });
  assert.equal(scheduler.step(9), false);
  assert.equal(scheduler.now, 9);
  assert.equal(scheduler.step(10), true);
  assert.equal(ran, 1);
});

test('one seed and one concern always give the same numbers; another concern gives others', () => {
  const draw = (seed: number, concern: string): readonly number[] => {
    const random = randomFor(seed, concern);
    return Array.from({ length: 20 }, () => random.next());
  };
  assert.deepEqual(draw(1, 'network'), draw(1, 'network'));
  assert.notDeepEqual(draw(1, 'network'), draw(1, 'faults'));
  assert.notDeepEqual(draw(1, 'network'), draw(2, 'network'));
  assert.ok(draw(3, 'x').every((value) => value >= 0 && value < 1));
});

test('a monotonic clock that gains is ahead, and does not notice steps of the wall clock', () => {
  const clock = new HostClock(1.005, 100, 0);
  const before = clock.monotonic(10_000);
  clock.wallOffsetMs += 3_600_000;
  assert.equal(clock.monotonic(10_000), before);
  assert.ok(Math.abs(before - 10_150) < 1e-6);
  assert.ok(Math.abs(clock.trueTime(before) - 10_000) < 1e-6);
});
