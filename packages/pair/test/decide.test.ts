// Goal: what a pair does follows from what is seen, and never lets two servers write that should not. Method: random views for what must
// hold of each decision; a small model of two servers that die and return at random for what must hold of their sequence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GtidSet, gtidContains, gtidCount, gtidSubtract, gtidUnion } from '@understudy/core';
import fc from 'fast-check';
import { decide, hungAfterMs, mayWrite, type Step } from '../src/decide/decide.ts';
import { type Both, nextNumber, otherSide, pairSettings, type SideName, sideNames } from '../src/decide/sides.ts';
import type { Apart, LinkView, Memory, ServerView, SideView } from '../src/decide/state.ts';

const running: LinkView = { receiver: 'running', applier: 'running', receiverError: null, applierError: null };

const upTo = (counts: Readonly<Record<string, number>>): GtidSet =>
  new Map(
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([source, count]) => [source, [{ first: 1n, last: BigInt(count) }]]),
  );

const apartOf = (side: SideName): Apart => ({
  side,
  transactions: 'x',
  count: 1,
  artifact: null,
  rows: [],
  sinceMs: 0,
});

const side = fc.constantFrom(...sideNames);
const link = fc.option(
  fc.record({
    receiver: fc.constantFrom('running' as const, 'connecting' as const, 'stopped' as const),
    applier: fc.constantFrom('running' as const, 'stopped' as const),
    receiverError: fc.constantFrom(null, { number: 1236, text: 'gone' }),
    applierError: fc.constantFrom(null, { number: 1062, text: 'taken' }),
  }),
);
const counts = fc.record({ a: fc.nat(3), b: fc.nat(3) });
const server = fc
  .record({ fence: fc.constantFrom('open' as const, 'closed' as const), executed: counts, ahead: counts, link })
  .map(
    ({ fence, executed, ahead, link: channel }): ServerView => ({
      fence,
      executed: upTo(executed),
      received: upTo({ a: executed.a + ahead.a, b: executed.b + ahead.b }),
      link: channel,
    }),
  );
const view: fc.Arbitrary<SideView> = fc.oneof(
  fc.constant({ process: 'gone', life: 'starting', server: null, silentMs: 0 } as const),
  fc.record({
    process: fc.constant('running' as const),
    life: fc.constantFrom('starting' as const, 'serving' as const),
    server: fc.option(server),
    silentMs: fc.constantFrom(0, 500, hungAfterMs),
  }),
);
const views: fc.Arbitrary<Both<SideView>> = fc.record({ n1: view, n2: view });
const memory: fc.Arbitrary<Memory> = fc
  .record({
    active: side,
    writers: fc.constantFrom('one' as const, 'both' as const),
    isApart: fc.boolean(),
    isUncompared: fc.boolean(),
  })
  .map(({ active, writers, isApart, isUncompared }) => ({
    active,
    writers,
    apart: isApart ? apartOf(otherSide(active)) : null,
    uncompared: isUncompared ? otherSide(active) : null,
  }));

const stepsOf = <K extends Step['kind']>(steps: readonly Step[], kind: K): readonly Extract<Step, { kind: K }>[] =>
  steps.filter((step): step is Extract<Step, { kind: K }> => step.kind === kind);

test('nothing is opened that may not write, and nothing while a server that must be closed is open', () => {
  fc.assert(
    fc.property(views, memory, (seen, known) => {
      const { steps } = decide(seen, known);
      for (const { side: opened } of stepsOf(steps, 'open')) {
        assert.ok(mayWrite(opened, known));
        const other = seen[otherSide(opened)];
        if (known.writers === 'one') assert.notEqual(other.server?.fence, 'open');
        // Silent, but not dead: it could still write.
        if (known.writers === 'one' && other.process === 'running' && other.life === 'serving') assert.ok(other.server);
      }
    }),
    { numRuns: 3000 },
  );
});

test('a server takes over only from a dead one, with all that it received applied, and never when it is set apart or was not compared', () => {
  fc.assert(
    fc.property(views, memory, (seen, known) => {
      for (const { side: successor } of stepsOf(decide(seen, known).steps, 'take-over')) {
        const { server: own } = seen[successor];
        assert.equal(successor, otherSide(known.active));
        assert.equal(seen[known.active].process, 'gone');
        assert.notEqual(known.apart?.side, successor);
        assert.notEqual(known.uncompared, successor);
        assert.ok(own?.link != null && own.link.applierError === null && own.link.applier === 'running');
        assert.ok(gtidContains(own.executed, own.received));
      }
    }),
    { numRuns: 3000 },
  );
});

test('nobody follows a server that is set apart, and an applier that an error stopped is left alone', () => {
  fc.assert(
    fc.property(views, memory, (seen, known) => {
      const { steps } = decide(seen, known);
      for (const { side: linked } of stepsOf(steps, 'link')) {
        assert.equal(known.apart, null);
        assert.equal(seen[linked].server?.link?.applierError ?? null, null);
      }
    }),
    { numRuns: 3000 },
  );
});

test('only one writer at a time: what the passive server has alone is set apart before anybody receives it', () => {
  fc.assert(
    fc.property(views, memory, (seen, known) => {
      const { steps } = decide(seen, known);
      for (const { side: late, extra } of stepsOf(steps, 'set-apart')) {
        assert.equal(known.writers, 'one');
        assert.equal(late, otherSide(known.active));
        assert.ok(extra.transactions > 0n);
        assert.equal(stepsOf(steps, 'link').length, 0);
      }
    }),
    { numRuns: 3000 },
  );
});

interface World {
  readonly servers: Record<SideName, { alive: boolean; open: boolean; held: GtidSet; receives: boolean }>;
  memory: Memory;
  written: number;
  /** What a dead server had and its successor went on without. */
  late: GtidSet;
}

const viewOf = ({ alive, open, held, receives }: World['servers'][SideName]): SideView =>
  alive
    ? {
        process: 'running',
        life: 'serving',
        silentMs: 0,
        server: {
          fence: open ? 'open' : 'closed',
          executed: held,
          received: held,
          link: { ...running, receiver: receives ? 'running' : 'stopped' },
        },
      }
    : { process: 'gone', life: 'starting', server: null, silentMs: 0 };

function carryOut(world: World, step: Step): void {
  const own = world.servers[step.side];
  switch (step.kind) {
    case 'start':
      own.alive = true;
      own.open = false;
      own.receives = false;
      break;
    case 'kill':
      own.alive = false;
      break;
    case 'open':
    case 'close':
      own.open = step.kind === 'open';
      break;
    case 'link':
      own.receives = true;
      world.memory = { ...world.memory, uncompared: null };
      break;
    case 'take-over':
      own.receives = false;
      world.late = gtidUnion(world.late, gtidSubtract(world.servers[otherSide(step.side)].held, own.held));
      world.memory = { ...world.memory, active: step.side, uncompared: otherSide(step.side) };
      break;
    case 'set-apart':
      own.receives = false;
      world.memory = { ...world.memory, apart: apartOf(step.side), uncompared: null };
      break;
    case 'apply':
      break;
  }
}

type Happening =
  | { readonly kind: 'turn' }
  | { readonly kind: 'send' }
  | { readonly kind: 'die'; readonly side: SideName }
  | { readonly kind: 'write'; readonly side: SideName };

function happen(world: World, event: Happening): void {
  if (event.kind === 'turn') {
    const views = { n1: viewOf(world.servers.n1), n2: viewOf(world.servers.n2) };
    for (const step of decide(views, world.memory).steps) carryOut(world, step);
  } else if (event.kind === 'send') {
    for (const each of sideNames) {
      const [own, other] = [world.servers[each], world.servers[otherSide(each)]];
      if (own.alive && other.alive && own.receives) own.held = gtidUnion(own.held, other.held);
    }
  } else if (event.kind === 'die') {
    world.servers[event.side].alive = false;
  } else if (world.servers[event.side].alive && world.servers[event.side].open) {
    world.written += 1;
    const own = world.servers[event.side];
    const first = BigInt(world.written);
    own.held = gtidUnion(own.held, new Map([[event.side, [{ first, last: first }]]]));
  }
}

const turn: Happening = { kind: 'turn' };
const lateReturn: Happening[] = [
  turn,
  turn,
  { kind: 'write', side: 'n1' },
  { kind: 'die', side: 'n1' },
  turn,
  turn,
  { kind: 'die', side: 'n2' },
];

test('whatever dies and whenever: with one writer at most one is open, nothing is overwritten unseen, and in the end both are equal or one is set apart', () => {
  const event: fc.Arbitrary<Happening> = fc.oneof(
    { weight: 4, arbitrary: fc.constant({ kind: 'turn' } as const) },
    { weight: 2, arbitrary: fc.constant({ kind: 'send' } as const) },
    { weight: 3, arbitrary: side.map((each) => ({ kind: 'write', side: each }) as const) },
    { weight: 1, arbitrary: side.map((each) => ({ kind: 'die', side: each }) as const) },
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const empty = () => ({ alive: false, open: false, held: new Map(), receives: false });
      const world: World = {
        servers: { n1: empty(), n2: empty() },
        memory: { active: 'n1', writers: 'one', apart: null, uncompared: null },
        written: 0,
        late: new Map(),
      };
      const rest: Happening[] = Array.from({ length: 8 }, () => [{ kind: 'turn' }, { kind: 'send' }] as const).flat();
      for (const each of [...events, ...rest]) {
        happen(world, each);
        const open = sideNames.filter((name) => world.servers[name].alive && world.servers[name].open);
        assert.ok(open.length <= 1, `${open.join(' and ')} are open`);
        const unasked = gtidSubtract(world.late, gtidSubtract(world.late, world.servers[world.memory.active].held));
        assert.equal(gtidCount(unasked), 0n, 'late transactions came to the active server by themselves');
      }
      const { active, apart } = world.memory;
      assert.ok(world.servers[active].open);
      const [held, other] = [world.servers[active].held, world.servers[otherSide(active)].held];
      if (apart === null) assert.deepEqual(new Map(held), new Map(other));
      else assert.ok(!gtidContains(held, other), 'a server was set apart that has nothing of its own');
    }),
    {
      numRuns: 500,
      // A server that had died came back, and took over before anybody had compared the two.
      examples: [[lateReturn]],
    },
  );
});

test('two servers never give a row the same number, whatever numbers there are', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 62n }), fc.bigInt({ min: 0n, max: 2n ** 62n }), (one, two) => {
      const [first, second] = [nextNumber('n1', one), nextNumber('n2', two)];
      assert.ok(first > one && second > two);
      assert.notEqual(first, second);
      assert.ok(first - one <= 2n && second - two <= 2n);
    }),
  );
});

test('the settings of the two differ in what tells them apart, and in MariaDB each writes in a domain of its own', () => {
  for (const kind of ['sets', 'domains'] as const) {
    const [n1, n2] = [new Map(pairSettings('n1', kind)), new Map(pairSettings('n2', kind))];
    assert.equal(n1.get('auto_increment_increment'), '2');
    assert.notEqual(n1.get('auto_increment_offset'), n2.get('auto_increment_offset'));
    assert.equal(n1.has('gtid_domain_id'), kind === 'domains');
    if (kind === 'domains') assert.notEqual(n1.get('gtid_domain_id'), n2.get('gtid_domain_id'));
  }
});
