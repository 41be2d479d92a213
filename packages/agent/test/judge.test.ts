/** When the guard takes an agent for frozen, and what the agent tells it to enforce. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ackRule, type EngineState, lsn, ms, systemId } from '@understudy/core';
import fc from 'fast-check';
import { BUSY_MS, judge, STOPPED_MS, STUCK_MS } from '../src/guard/judge.ts';
import { Lines, line, parseFromGuard, parseToGuard, type ToGuard } from '../src/guard/protocol.ts';
import { chargeFor } from '../src/loop/charge.ts';

const POSITION = { kind: 'wal', timeline: 1, lsn: lsn(1n), history: [] } as const;
const PRIMARY: EngineState = {
  kind: 'primary',
  systemId: systemId('7'),
  position: POSITION,
  acks: { running: ackRule([], 0), barrier: null },
  replicas: [],
};
const SERVER = { pid: 77, startTicks: '5' };

describe('judgement of a silent agent', () => {
  const cases: readonly (readonly [string | null, number, string])[] = [
    ['S', STUCK_MS - 1, 'well'],
    ['S', STUCK_MS, 'frozen'],
    ['T', STOPPED_MS - 1, 'well'],
    ['T', STOPPED_MS, 'frozen'],
    ['t', STOPPED_MS, 'frozen'],
    ['R', STUCK_MS + 1, 'well'],
    ['D', STUCK_MS + 1, 'well'],
    ['R', BUSY_MS, 'frozen'],
    [null, 0, 'dead'],
  ];
  for (const [state, silentMs, kind] of cases) {
    it(`${state ?? 'gone'} and silent for ${silentMs} ms: ${kind}`, () =>
      assert.equal(judge({ state, silentMs }).kind, kind));
  }

  it('looks again before any limit can have passed, and always some time later', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('S', 'T', 'R', 'D'),
        fc.double({ min: 0, max: BUSY_MS, noNaN: true }),
        (state, silentMs) => {
          const verdict = judge({ state, silentMs });
          if (verdict.kind !== 'well') return;
          assert.ok(verdict.lookAgainInMs > 0);
          const later = judge({ state: 'T', silentMs: silentMs + verdict.lookAgainInMs });
          assert.ok(later.kind === 'frozen', 'a stop is seen at the next look');
        },
      ),
    );
  });
});

describe('charge of the guard', () => {
  it('has the decided deadline for a primary', () => {
    const charge = chargeFor(
      PRIMARY,
      { kind: 'primary', until: ms(900) },
      SERVER,
      { server: null, untilMs: null },
      ms(0),
      6_000,
    );
    assert.deepEqual(charge, { server: SERVER, untilMs: 900 });
  });

  it('keeps the deadline of a primary for which nothing is decided, and gives one to a primary that has none', () => {
    const kept = chargeFor(PRIMARY, { kind: 'none' }, SERVER, { server: SERVER, untilMs: 900 }, ms(500), 6_000);
    assert.equal(kept.untilMs, 900);
    const given = chargeFor(PRIMARY, { kind: 'none' }, SERVER, { server: SERVER, untilMs: null }, ms(500), 6_000);
    assert.equal(given.untilMs, 6_500);
  });

  it('has no deadline for a replica, nor for a silent server that never was known to be a primary', () => {
    const silent: EngineState = { kind: 'unresponsive', was: 'unknown', sinceMs: 1 };
    assert.equal(
      chargeFor(silent, { kind: 'none' }, SERVER, { server: SERVER, untilMs: null }, ms(0), 6_000).untilMs,
      null,
    );
    assert.equal(chargeFor(silent, { kind: 'none' }, SERVER, { server: SERVER, untilMs: 9 }, ms(0), 6_000).untilMs, 9);
    const stopped: EngineState = { kind: 'absent' };
    assert.equal(
      chargeFor(stopped, { kind: 'none' }, null, { server: SERVER, untilMs: 9 }, ms(0), 6_000).untilMs,
      null,
    );
  });
});

describe('lines between agent and guard', () => {
  it('are read whatever pieces they come in, and nonsense is passed over', () => {
    const message: ToGuard = { kind: 'beat', server: SERVER, untilMs: 1.5, ask: 3 };
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 })), (sizes) => {
        const seen: (ToGuard | null)[] = [];
        const lines = new Lines((text) => seen.push(parseToGuard(text)));
        let text = `${line(message)}nonsense\n{"kind":"beat","server":{"pid":"x"},"untilMs":"soon"}\n${line(message)}`;
        for (const size of sizes) {
          lines.push(text.slice(0, size));
          text = text.slice(size);
        }
        lines.push(text);
        assert.deepEqual(seen, [message, null, { kind: 'beat', server: null, untilMs: null, ask: null }, message]);
      }),
    );
    assert.equal(parseFromGuard('{"kind":"answer"}'), null);
    assert.equal(parseToGuard('{"kind":"hello","agent":{"pid":1,"startTicks":"1"}}'), null, 'never process 1');
  });
});
