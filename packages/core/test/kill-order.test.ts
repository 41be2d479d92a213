/** When a guard takes its agent for frozen, and when it kills the server. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type Authority,
  ackRule,
  BUSY_MS,
  dueForKill,
  type EngineState,
  excuseLateness,
  isToldAtOnce,
  judgeAgent,
  type KillOrder,
  killOrderFor,
  lsn,
  ms,
  NO_ORDER,
  orderBeforeOpening,
  orderInForce,
  STOPPED_MS,
  STUCK_MS,
  systemId,
  UNDECIDED,
} from '../src/index.ts';

const POSITION = { kind: 'wal', timeline: 1, lsn: lsn(1n), history: [] } as const;
const PRIMARY: EngineState = {
  kind: 'primary',
  systemId: systemId('7'),
  position: POSITION,
  acks: { running: ackRule([], 0), barrier: null },
  replicas: [],
};
/** A server process: its number, and when it started. */
type Process = `${number} ${string}`;
const SERVER: Process = '77 5';
const isSame = (a: Process | null, b: Process | null): boolean => a !== null && a === b;
type Order = KillOrder<Process>;

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
      assert.equal(judgeAgent({ state, silentMs }).kind, kind));
  }

  it('looks again before any limit can have passed, and always some time later', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('S', 'T', 'R', 'D'),
        fc.double({ min: 0, max: BUSY_MS, noNaN: true }),
        (state, silentMs) => {
          const verdict = judgeAgent({ state, silentMs });
          if (verdict.kind !== 'well') return;
          assert.ok(verdict.lookAgainInMs > 0);
          const later = judgeAgent({ state: 'T', silentMs: silentMs + verdict.lookAgainInMs });
          assert.ok(later.kind === 'frozen', 'a stop is seen at the next look');
        },
      ),
    );
  });
});

describe('kill order of an agent', () => {
  it('has the decided deadline for a primary', () => {
    const authority: Authority = { kind: 'primary', until: ms(900) };
    const order = killOrderFor(
      { engine: PRIMARY, authority, server: SERVER, now: ms(0), leaseTtlMs: 6_000 },
      UNDECIDED,
      isSame,
    );
    assert.deepEqual(order, { server: SERVER, untilMs: 900, certainty: 'decided' });
  });

  const decided = (untilMs: number | null): Order => ({ server: SERVER, untilMs, certainty: 'decided' });
  const undecided = (engine: EngineState, previous: Order, server: Process | null = SERVER): Order =>
    killOrderFor({ engine, authority: { kind: 'none' }, server, now: ms(500), leaseTtlMs: 6_000 }, previous, isSame);
  const starting: EngineState = { kind: 'starting', sinceMs: 1 };
  const silent: EngineState = { kind: 'unresponsive', was: 'unknown', sinceMs: 1 };

  it('keeps the deadline of a primary for which nothing is decided, and gives one to a primary that has none', () => {
    assert.equal(undecided(PRIMARY, decided(900)).untilMs, 900);
    assert.equal(undecided(PRIMARY, decided(null)).untilMs, 6_500);
    assert.equal(undecided(PRIMARY, UNDECIDED).certainty, 'undecided', 'the guard may know an earlier end');
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
      assert.equal(undecided(engine, UNDECIDED).untilMs, null);
      assert.equal(undecided(engine, decided(9)).untilMs, 9);
      assert.equal(undecided(engine, decided(9), '78 5').untilMs, null);
      assert.equal(undecided(engine, UNDECIDED).certainty, 'undecided');
    }
  });
});

describe('what else the agent tells its guard', () => {
  it('is the end of its session, or one lease, before a server is opened', () => {
    const expected = { server: SERVER, certainty: 'decided' };
    assert.deepEqual(orderBeforeOpening(SERVER, ms(700), ms(500), 6_000), { ...expected, untilMs: 700 });
    assert.deepEqual(orderBeforeOpening(SERVER, null, ms(500), 6_000), { ...expected, untilMs: 6_500 });
  });

  it('is told at once, but for a deadline that only moves', () => {
    const before: Order = { server: SERVER, untilMs: 900, certainty: 'decided' };
    assert.equal(isToldAtOnce(before, { ...before, untilMs: 1_000 }, isSame), false);
    assert.equal(isToldAtOnce(NO_ORDER, NO_ORDER, isSame), false);
    assert.equal(isToldAtOnce(before, { ...before, untilMs: null }, isSame), true);
    assert.equal(isToldAtOnce(before, { ...before, server: '78 5' }, isSame), true);
    assert.equal(isToldAtOnce(UNDECIDED, NO_ORDER, isSame), true);
  });
});

describe('a kill', () => {
  const order: Order = { server: SERVER, untilMs: 900, certainty: 'decided' };

  it('is due when the time is up, and never where there is no time or no server', () => {
    assert.equal(dueForKill(order, 899), null);
    assert.equal(dueForKill(order, 900), SERVER);
    assert.equal(dueForKill({ ...order, untilMs: null }, 1e9), null);
    assert.equal(dueForKill({ ...order, server: null }, 1e9), null);
  });
});

describe('a guard that did not run itself', () => {
  it('counts no silence of that time, and none that is still to come', () => {
    assert.equal(excuseLateness(1_000, 100, 2_000), 1_000, 'a little late is nothing');
    assert.equal(excuseLateness(1_000, 500, 2_000), 1_500);
    assert.equal(excuseLateness(1_000, 5_000, 2_000), 2_000);
  });
});

describe('kill order in force', () => {
  const other: Process = '77 6';
  const order = (server: Process | null, untilMs: number | null, certainty: Order['certainty']): Order => ({
    server,
    untilMs,
    certainty,
  });
  const held = order(SERVER, 900, 'decided');

  it('is what was decided, be it longer or none', () => {
    for (const told of [order(SERVER, 1_500, 'decided'), order(null, null, 'decided')]) {
      assert.deepEqual(orderInForce(held, told, isSame), told);
    }
  });

  it('is never longer than what an earlier agent decided, as long as the new one has decided nothing', () => {
    fc.assert(
      fc.property(fc.option(fc.integer({ min: 0, max: 2_000 })), fc.constantFrom(SERVER, null), (untilMs, server) => {
        const { untilMs: inForceUntilMs, server: inForceServer } = orderInForce(
          held,
          order(server, untilMs, 'undecided'),
          isSame,
        );
        assert.deepEqual(inForceServer, SERVER);
        assert.equal(inForceUntilMs, Math.min(900, untilMs ?? 900));
      }),
    );
    assert.equal(orderInForce(held, UNDECIDED, isSame).untilMs, 900, 'nor by the first words of an agent');
  });

  it('is what is told for another server, or where nothing was held', () => {
    const told = order(other, 1_500, 'undecided');
    assert.deepEqual(orderInForce(held, told, isSame), told);
    assert.deepEqual(orderInForce(order(SERVER, null, 'decided'), order(SERVER, 5, 'undecided'), isSame).untilMs, 5);
  });
});
