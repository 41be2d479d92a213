// Goal: every answer finds the request that it belongs to, and a connection counts as free exactly when the server has nothing left to say.
// Method: a model of a server, written from the protocol's rules for errors and copies, answers random pipelines with random delays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  Conversation,
  letter,
  REQUEST,
  type RequestKind,
  STAND_IN,
  STATUS,
  UNASKED,
  WireError,
} from '../src/postgres/index.ts';

interface Heard {
  readonly dropped: number[];
  readonly standIns: number[];
}

function conversation(): Heard & { readonly talk: Conversation } {
  const heard: Heard = { dropped: [], standIns: [] };
  const talk = new Conversation({
    dropped: (_kind, _tag, ref) => heard.dropped.push(ref),
    standIn: (_kind, _tag, ref) => heard.standIns.push(ref),
  });
  return { ...heard, talk };
}

const reply = (talk: Conversation, types: string, status: number = STATUS.idle): number[] =>
  [...types].map((type) => talk.reply(letter(type), status));

test('number one: five pipelined queries over one connection are free only after the fifth ReadyForQuery', () => {
  const { talk } = conversation();
  for (let i = 1; i <= 5; i++) {
    for (const kind of [REQUEST.parse, REQUEST.bind, REQUEST.describePortal, REQUEST.execute, REQUEST.sync]) {
      assert.equal(talk.push(kind, i), true);
    }
  }
  for (let i = 1; i <= 5; i++) {
    assert.deepEqual(reply(talk, '12TDC'), [i, i, i, i, i]);
    assert.equal(talk.isIdle, false);
    assert.deepEqual(reply(talk, 'Z'), [i]);
    assert.equal(talk.isIdle, i === 5);
  }
});

test('simple queries in one flush', () => {
  const { talk } = conversation();
  talk.push(REQUEST.query, 1);
  talk.push(REQUEST.query, 2);
  assert.deepEqual(reply(talk, 'TDDCTDCZ'), Array(8).fill(1));
  assert.equal(talk.isIdle, false);
  assert.deepEqual(reply(talk, 'IZ'), [2, 2]);
  assert.equal(talk.isIdle, true);
});

test('a group without its Sync keeps the connection, even when all is answered', () => {
  const { talk } = conversation();
  talk.push(REQUEST.parse);
  assert.deepEqual(reply(talk, '1'), [0]);
  assert.equal(talk.outstanding, 0);
  assert.equal(talk.isIdle, false);
  talk.push(REQUEST.sync);
  reply(talk, 'Z');
  assert.equal(talk.isIdle, true);
});

test('a transaction keeps the connection', () => {
  const { talk } = conversation();
  for (const [status, isIdle] of [
    [STATUS.inTransaction, false],
    [STATUS.failed, false],
    [STATUS.idle, true],
  ] as const) {
    talk.push(REQUEST.query);
    reply(talk, 'CZ', status);
    assert.equal(talk.isIdle, isIdle);
  }
});

test('an error drops everything up to the next Sync, simple queries too', () => {
  const { talk, dropped } = conversation();
  talk.push(REQUEST.parse, 1, 1);
  talk.push(REQUEST.bind, 1, 2);
  talk.push(REQUEST.query, 1, 3);
  talk.push(REQUEST.sync, 1, 4);
  talk.push(REQUEST.query, 2, 5);
  assert.deepEqual(reply(talk, 'E'), [1]);
  assert.deepEqual(dropped, [2, 3]);
  assert.deepEqual(reply(talk, 'ZCZ'), [1, 2, 2]);
  assert.equal(talk.isIdle, true);
});

test('after an error nothing is sent until the Sync comes', () => {
  const { talk } = conversation();
  talk.push(REQUEST.parse);
  reply(talk, 'E');
  assert.equal(talk.push(REQUEST.bind), false);
  assert.equal(talk.push(REQUEST.query), false);
  assert.equal(talk.copyData(), false);
  assert.equal(talk.flush(), false);
  assert.equal(talk.push(REQUEST.sync), true);
  reply(talk, 'Z');
  assert.equal(talk.isIdle, true);
});

test('an error at the Sync itself is followed by its ReadyForQuery', () => {
  const { talk } = conversation();
  talk.push(REQUEST.execute);
  talk.push(REQUEST.sync, 7);
  assert.deepEqual(reply(talk, 'CEZ'), [0, 7, 7]);
  assert.equal(talk.isIdle, true);
});

test('stand-ins are answered in their turn, and dropped with their group', () => {
  const { talk, standIns, dropped } = conversation();
  assert.equal(talk.push(REQUEST.parse, STAND_IN, 1), false);
  assert.deepEqual(standIns, [1]);
  talk.push(REQUEST.bind);
  talk.push(REQUEST.close, STAND_IN, 2);
  talk.push(REQUEST.close, STAND_IN, 3);
  talk.push(REQUEST.sync);
  assert.deepEqual(standIns, [1]);
  reply(talk, '2');
  assert.deepEqual(standIns, [1, 2, 3]);
  reply(talk, 'Z');
  talk.push(REQUEST.bind);
  talk.push(REQUEST.parse, STAND_IN, 4);
  talk.push(REQUEST.sync);
  reply(talk, 'EZ');
  assert.deepEqual(standIns, [1, 2, 3]);
  assert.deepEqual(dropped, [4]);
});

test('what comes at any time answers nothing', () => {
  const { talk } = conversation();
  talk.push(REQUEST.query, 3);
  assert.deepEqual(reply(talk, 'SNA'), [UNASKED, UNASKED, UNASKED]);
  assert.deepEqual(reply(talk, 'CZ'), [3, 3]);
  assert.deepEqual(reply(talk, 'E'), [UNASKED]);
});

test('COPY FROM STDIN as libpq does it: the Sync behind the Execute is not answered', () => {
  const { talk } = conversation();
  for (const kind of [REQUEST.parse, REQUEST.bind, REQUEST.describePortal, REQUEST.execute, REQUEST.sync])
    talk.push(kind);
  assert.equal(talk.copyData(), true);
  reply(talk, '12nG');
  assert.equal(talk.isCopyingIn, true);
  assert.equal(talk.isIdle, false);
  assert.equal(talk.copyData(), true);
  assert.equal(talk.push(REQUEST.sync), false, 'the server would drop it');
  assert.equal(talk.flush(), false);
  talk.push(REQUEST.copyEnd);
  talk.push(REQUEST.sync);
  reply(talk, 'CZ');
  assert.equal(talk.isIdle, true);
  assert.equal(talk.copyData(), false);
});

test('late data of a copy that failed is dropped: simple protocol', () => {
  const { talk } = conversation();
  talk.push(REQUEST.query);
  reply(talk, 'GEZ');
  assert.equal(talk.isIdle, true);
  assert.equal(talk.copyData(), false);
  assert.equal(talk.push(REQUEST.copyEnd), false);
  assert.equal(talk.isIdle, true);
});

test('late data of a copy that failed is dropped: extended protocol', () => {
  const { talk } = conversation();
  talk.push(REQUEST.bind);
  talk.push(REQUEST.execute);
  reply(talk, '2GE');
  assert.equal(talk.copyData(), false);
  assert.equal(talk.push(REQUEST.copyEnd), false);
  assert.equal(talk.push(REQUEST.sync), true);
  reply(talk, 'Z');
  assert.equal(talk.isIdle, true);
});

test('a copy whose end was sent before the server said that it began', () => {
  const { talk } = conversation();
  talk.push(REQUEST.query);
  talk.push(REQUEST.copyEnd);
  talk.push(REQUEST.query, 2);
  assert.deepEqual(reply(talk, 'GCZ'), [0, 0, 0]);
  assert.deepEqual(reply(talk, 'CZ'), [2, 2]);
  assert.equal(talk.isIdle, true);
});

test('a query in the middle of a copy is read by the server as an error, and not answered', () => {
  const { talk, dropped } = conversation();
  talk.push(REQUEST.query, 1, 1);
  talk.push(REQUEST.query, 2, 2);
  talk.push(REQUEST.query, 3, 3);
  assert.deepEqual(reply(talk, 'GEZ'), [1, 1, 1]);
  assert.deepEqual(dropped, [2]);
  assert.deepEqual(reply(talk, 'CZ'), [3, 3]);
  const again = conversation().talk;
  again.push(REQUEST.query);
  reply(again, 'G');
  assert.throws(() => again.push(REQUEST.query), WireError);
});

test('COPY TO STDOUT, and data both ways', () => {
  const { talk } = conversation();
  talk.push(REQUEST.query, 5);
  assert.deepEqual(reply(talk, 'HddcCZ'), Array(6).fill(5));
  talk.push(REQUEST.query, 6);
  reply(talk, 'Wdd');
  assert.equal(talk.isIdle, false);
  assert.equal(talk.copyData(), true);
  talk.push(REQUEST.copyEnd);
  reply(talk, 'cCZ');
  assert.equal(talk.isIdle, true);
});

test('a function call', () => {
  const { talk } = conversation();
  talk.push(REQUEST.functionCall, 4);
  assert.deepEqual(reply(talk, 'VZ'), [4, 4]);
  assert.equal(talk.isIdle, true);
});

test('a portal that is suspended ends its Execute', () => {
  const { talk } = conversation();
  talk.push(REQUEST.execute, 1);
  talk.push(REQUEST.execute, 2);
  assert.deepEqual(reply(talk, 'DDsDC'), [1, 1, 1, 2, 2]);
});

const surprises: readonly (readonly [string, readonly RequestKind[], string])[] = [
  ['an answer without a request', [], 'Z'],
  ['rows without a request', [], 'D'],
  ['ReadyForQuery before the group ended', [REQUEST.parse, REQUEST.sync], 'Z'],
  ['BindComplete for a Parse', [REQUEST.parse], '2'],
  ['rows for a Sync', [REQUEST.sync], 'D'],
  ['one ReadyForQuery too many', [REQUEST.query], 'CZZ'],
  ['a login in the middle of a session', [REQUEST.query], 'R'],
];
for (const [name, requests, answers] of surprises) {
  test(`a server that surprises cannot be used any more: ${name}`, () => {
    const { talk } = conversation();
    for (const kind of requests) talk.push(kind);
    assert.throws(() => reply(talk, answers), { name: 'WireError', code: 'unexpected' });
  });
}

type Step = { readonly kind: RequestKind; readonly fails: boolean; readonly copies: boolean };

/** A server by the rules of the protocol: takes requests in order, says what it answers to each. */
class ModelServer {
  #isSkipping = false;
  readonly answers: { readonly type: number; readonly ref: number }[] = [];

  take(step: Step, ref: number): void {
    this.#say(this.#typesOf(step), ref);
  }

  #say(types: string, ref: number): void {
    for (const type of types) this.answers.push({ type: letter(type), ref });
  }

  #typesOf({ kind, fails, copies }: Step): string {
    if (kind === REQUEST.sync) {
      this.#isSkipping = false;
      return fails ? 'EZ' : 'Z';
    }
    if (this.#isSkipping) return '';
    if (kind === REQUEST.query) return fails ? 'TDEZ' : copies ? 'HdcCZ' : 'TDCIZ';
    if (kind === REQUEST.functionCall) return fails ? 'EZ' : 'VZ';
    this.#isSkipping = fails;
    return fails ? 'E' : (ANSWERS.get(kind) ?? '');
  }
}

const ANSWERS = new Map<RequestKind, string>([
  [REQUEST.parse, '1'],
  [REQUEST.bind, '2'],
  [REQUEST.close, '3'],
  [REQUEST.describeStatement, 'tT'],
  [REQUEST.describePortal, 'n'],
  [REQUEST.execute, 'DDC'],
]);

const step = fc.record({
  kind: fc.constantFrom<RequestKind>(
    REQUEST.query,
    REQUEST.functionCall,
    REQUEST.sync,
    REQUEST.sync,
    ...(ANSWERS.keys() as Iterable<RequestKind>),
  ),
  fails: fc.boolean(),
  copies: fc.boolean(),
  /** How many answers arrive before the next request is sent. */
  arrive: fc.nat(4),
});

test('random pipelines, answered with any delay: each answer belongs to its request', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { talk } = conversation();
      const server = new ModelServer();
      let arrived = 0;
      const arrive = (): void => {
        const answer = server.answers[arrived++];
        if (answer !== undefined) assert.equal(talk.reply(answer.type, STATUS.idle), answer.ref, `answer ${arrived}`);
      };
      steps.forEach((each, ref) => {
        if (talk.push(each.kind, ref)) server.take(each, ref);
        for (let i = 0; i < each.arrive; i++) if (arrived < server.answers.length) arrive();
      });
      talk.push(REQUEST.sync, steps.length);
      server.take({ kind: REQUEST.sync, fails: false, copies: false }, steps.length);
      while (arrived < server.answers.length) {
        assert.equal(talk.isIdle, false);
        arrive();
      }
      assert.equal(talk.isIdle, true);
      assert.equal(talk.outstanding, 0);
    }),
    { numRuns: 2_000 },
  );
});
