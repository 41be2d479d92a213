/** When the guard takes an agent for frozen, and what the agent tells it to enforce. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ackRule, type EngineState, lsn, ms, systemId } from '@understudy/core';
import fc from 'fast-check';
import { inForce } from '../src/guard/charge.ts';
import { NO_CHARGE } from '../src/guard/client.ts';
import { BUSY_MS, judge, STOPPED_MS, STUCK_MS } from '../src/guard/judge.ts';
import type { ProcessName } from '../src/guard/proc.ts';
import { type Charge, Lines, line, parseFromGuard, parseToGuard, type ToGuard } from '../src/guard/protocol.ts';
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
    const charge = chargeFor(PRIMARY, { kind: 'primary', until: ms(900) }, SERVER, NO_CHARGE, ms(0), 6_000);
    assert.deepEqual(charge, { server: SERVER, untilMs: 900, certainty: 'decided' });
  });

  const decided = (untilMs: number | null): Charge => ({ server: SERVER, untilMs, certainty: 'decided' });
  const undecided = (engine: EngineState, previous: Charge, server: ProcessName | null = SERVER): Charge =>
    chargeFor(engine, { kind: 'none' }, server, previous, ms(500), 6_000);
  const starting: EngineState = { kind: 'starting', sinceMs: 1 };
  const silent: EngineState = { kind: 'unresponsive', was: 'unknown', sinceMs: 1 };

  it('keeps the deadline of a primary for which nothing is decided, and gives one to a primary that has none', () => {
    assert.equal(undecided(PRIMARY, decided(900)).untilMs, 900);
    assert.equal(undecided(PRIMARY, decided(null)).untilMs, 6_500);
    assert.equal(undecided(PRIMARY, NO_CHARGE).certainty, 'undecided', 'the guard may know an earlier end');
  });

  it('has no deadline for a server that is no primary', () => {
    assert.deepEqual(undecided({ kind: 'absent' }, decided(9), null), {
      server: null,
      untilMs: null,
      certainty: 'decided',
    });
  });

  it('keeps what it had for a server of which nothing is known yet, unless that was for another process', () => {
    for (const engine of [silent, starting]) {
      assert.equal(undecided(engine, NO_CHARGE).untilMs, null);
      assert.equal(undecided(engine, decided(9)).untilMs, 9);
      assert.equal(undecided(engine, decided(9), { pid: 78, startTicks: '5' }).untilMs, null);
      assert.equal(undecided(engine, NO_CHARGE).certainty, 'undecided');
    }
  });
});

describe('charge in force', () => {
  const other: ProcessName = { pid: 77, startTicks: '6' };
  const charge = (server: ProcessName | null, untilMs: number | null, certainty: Charge['certainty']): Charge => ({
    server,
    untilMs,
    certainty,
  });
  const held = charge(SERVER, 900, 'decided');

  it('is what was decided, be it longer or none', () => {
    for (const told of [charge(SERVER, 1_500, 'decided'), charge(null, null, 'decided')]) {
      assert.deepEqual(inForce(held, told), told);
    }
  });

  it('is never longer than what an earlier agent decided, as long as the new one has decided nothing', () => {
    fc.assert(
      fc.property(fc.option(fc.integer({ min: 0, max: 2_000 })), fc.constantFrom(SERVER, null), (untilMs, server) => {
        const { untilMs: inForceUntilMs, server: inForceServer } = inForce(held, charge(server, untilMs, 'undecided'));
        assert.deepEqual(inForceServer, SERVER);
        assert.equal(inForceUntilMs, Math.min(900, untilMs ?? 900));
      }),
    );
    assert.equal(inForce(held, NO_CHARGE).untilMs, 900, 'nor by the first words of an agent');
  });

  it('is what is told for another server, or where nothing was held', () => {
    const told = charge(other, 1_500, 'undecided');
    assert.deepEqual(inForce(held, told), told);
    assert.deepEqual(inForce(charge(SERVER, null, 'decided'), charge(SERVER, 5, 'undecided')).untilMs, 5);
  });
});

describe('lines between agent and guard', () => {
  it('are read whatever pieces they come in, and nonsense is passed over', () => {
    const message: ToGuard = { kind: 'beat', server: SERVER, untilMs: 1.5, certainty: 'undecided', ask: 3 };
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
        const plain: ToGuard = { kind: 'beat', server: null, untilMs: null, certainty: 'decided', ask: null };
        assert.deepEqual(seen, [message, null, plain, message]);
      }),
    );
    assert.equal(parseFromGuard('{"kind":"answer"}'), null);
    assert.equal(parseToGuard('{"kind":"hello","agent":{"pid":1,"startTicks":"1"}}'), null, 'never process 1');
  });
});
