// Goal: a store that was put back, emptied or exchanged proves nothing. Method: marks before and after; decisions with what others have seen.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ALONE,
  type Command,
  decide,
  EMPTY_MEMORY,
  type EngineState,
  epoch,
  formatRule,
  type LeadershipRecord,
  type LiveState,
  mayBeNoted,
  ms,
  needsNote,
  planRestore,
  type RestorePlan,
  restsOn,
  revision,
  type StoreMark,
  storePast,
} from '../src/index.ts';
import {
  absent,
  any,
  content,
  cut,
  fresh,
  live,
  n1,
  n2,
  n3,
  observation,
  primary,
  RECORD_REVISION,
  record,
  recordIn,
  replica,
  seal,
  silent,
} from './support/build.ts';
import { at, on } from './support/positions.ts';

const mark = (change: Partial<LeadershipRecord> = {}, at = 50, storeId = 'a'): StoreMark => ({
  storeId,
  revision: revision(at),
  record: record(change),
});

const later = { epoch: epoch(6), timeline: 6, chosenAt: at(5, 4300), opened: null } as const;

describe('a store, compared with what was known', () => {
  const cases: readonly [string, StoreMark | null, StoreMark | null, string][] = [
    ['goes on where nothing was known', null, mark(), 'goes-on'],
    ['goes on as it was', mark(), mark(), 'goes-on'],
    ['goes on with a newer rule', mark(), mark({ rule: any(1, n3) }, 60), 'goes-on'],
    ['goes on with the next leader', mark(), mark(later, 60), 'goes-on'],
    ['has lost its record', mark(), null, 'record-gone'],
    ['is at an older epoch', mark(later, 60), mark({}, 90), 'older-epoch'],
    [
      'is at an older rule of the same epoch',
      mark({ rule: any(1, n3) }, 60),
      mark({ rule: any(1, n2) }, 50),
      'older-rule',
    ],
    ['is another store with the same record', mark(), mark({}, 50, 'b'), 'other-store'],
    [
      'has gone on from an older state',
      mark(later, 60),
      mark({ ...later, epoch: epoch(9), timeline: 7, chosenAt: at(5, 4200) }, 99),
      'other-history',
    ],
    ['was restored elsewhere, as a newer epoch', mark(), mark({ epoch: epoch(6) }, 3, 'b'), 'goes-on'],
    [
      'was overridden by an operator since',
      mark(later, 60),
      mark({ ...later, epoch: epoch(7), overrode: epoch(7), chosenAt: at(5, 4200) }, 99),
      'goes-on',
    ],
    [
      'was overridden before what was known',
      mark(later, 60),
      mark({ ...later, epoch: epoch(7), overrode: epoch(6), chosenAt: at(5, 4200) }, 99),
      'other-history',
    ],
  ];
  for (const [name, known, seen, want] of cases) {
    it(name, () => {
      const past = storePast(known, seen);
      assert.equal(past.kind === 'goes-on' ? past.kind : past.cause, want);
    });
  }
});

/** n2, sealed with everybody who is needed: it elects itself unless something speaks against it. */
function election(change: { readonly seen?: LiveState['seen']; readonly noted?: null; readonly line?: number }) {
  const { seen, line = 5, ...rest } = change;
  const store = { ...content({ seals: { n2: seal(at(5, 4500)), n3: seal(at(5, 4500)) } }), storeId: 'a' };
  const obs = observation({
    engine: cut(at(line, 4500)),
    store: { kind: 'current', content: store },
    peers: { n1: silent(5000), n3: fresh(n3, cut(), seen === undefined ? {} : { seen }) },
    ...rest,
  });
  return decide(obs, EMPTY_MEMORY);
}

describe('a store whose history is another one', () => {
  const next = mark({ ...later, epoch: epoch(9), timeline: 9 }, 99);
  it('is not believed, although it is at a newer epoch that holds all that was known to be the base', () => {
    assert.equal(storePast(mark(later, 60), next, { leader: n3, timeline: 6 }).kind, 'went-back');
    assert.equal(storePast(mark(later, 60), next, { leader: n1, timeline: 6 }).kind, 'goes-on');
  });
  it('is not believed at the same epoch with another leader', () => {
    assert.equal(storePast(mark(later, 60), mark({ ...later, leader: n3 }, 99)).kind, 'went-back');
  });
});

describe('an election', () => {
  const seen = { storeId: 'a', epoch: epoch(5), revision: RECORD_REVISION, leader: n1 };
  it('is made when everybody has seen what the store says', () => {
    assert.equal(election({ seen }).reasons[0]?.code, 'elected');
  });
  for (const [name, change] of [
    ['a newer epoch', { ...seen, epoch: epoch(9) }],
    ['a newer rule', { ...seen, revision: revision(RECORD_REVISION + 1) }],
    ['another store', { ...seen, storeId: 'b' }],
  ] as const) {
    it(`is not made while another member has seen ${name}`, () => {
      const { reasons, commands } = election({ seen: change });
      assert.equal(reasons[0]?.code, 'store-older-than-seen');
      assert.match(reasons[0]?.text ?? '', /restore-store --from-members/);
      assert.deepEqual(commands, []);
    });
  }
  it('is not made with data of a newer timeline where nothing was noted', () => {
    assert.equal(election({ noted: null, line: 9 }).reasons[0]?.code, 'store-older-than-data');
  });
});

describe('data that may be the newest', () => {
  const seen = { storeId: 'a', epoch: epoch(5), revision: RECORD_REVISION, leader: n1 };
  const diverged = on(4, 4001, [1, 1000], [2, 2000], [3, 3000]);
  const returns = (change: {
    readonly noted?: typeof seen | null;
    readonly seen?: LiveState['seen'];
    readonly engine: EngineState;
  }) => {
    const { seen: peerSaw = seen, ...rest } = change;
    const store = { ...content(), storeId: 'a' };
    const peers = { n1: fresh(n1, primary(), { seen }), n3: fresh(n3, cut(), { seen: peerSaw }) };
    return decide(observation({ store: { kind: 'current', content: store }, peers, ...rest }), EMPTY_MEMORY);
  };
  it('is rewound or copied when nothing speaks for it', () => {
    assert.deepEqual(
      returns({ engine: cut(diverged) }).commands.map(({ kind }) => kind),
      ['rewind'],
    );
  });
  for (const [name, change] of [
    ['is of a newer line, and nothing was noted', { noted: null, engine: cut(at(6, 6500)) }],
    ['is of a newer line than what was noted', { noted: seen, engine: cut(at(6, 6500)) }],
    [
      'has diverged while another member has seen a newer epoch',
      { noted: null, seen: { ...seen, epoch: epoch(7) }, engine: cut(diverged) },
    ],
    [
      'is damaged while another member has seen a newer epoch',
      { seen: { ...seen, epoch: epoch(7) }, engine: { kind: 'refused', data: 'damaged', problem: 'Damaged.' } },
    ],
  ] as const) {
    it(`is left where it is when it ${name}`, () => {
      const { reasons, commands } = returns(change);
      assert.match(reasons[0]?.code ?? '', /^store-older-than/);
      assert.deepEqual(commands, []);
    });
  }
  it('speaks against an election of another member, whatever its own agent has noted', () => {
    const store = { ...content({ seals: { n2: seal(at(5, 4500)), n3: seal(at(5, 4500)) } }), storeId: 'a' };
    const peers = { n1: silent(5000), n3: fresh(n3, cut(at(6, 6500)), { seen }) };
    const obs = observation({ engine: cut(at(5, 4500)), store: { kind: 'current', content: store }, peers });
    assert.equal(decide(obs, EMPTY_MEMORY).reasons[0]?.code, 'store-older-than-data');
  });
});

describe('a command that rests on what is noted', () => {
  const known = mark({ rule: any(1, n2), nextRule: any(1, n3) });
  const commands: readonly [Command, boolean][] = [
    [{ kind: 'follow', upstream: n1, epoch: epoch(5) }, true],
    [{ kind: 'follow', upstream: n1, epoch: epoch(6) }, false],
    [{ kind: 'promote', epoch: epoch(6), timeline: 6, rule: ALONE, notAfter: ms(0) }, false],
    [{ kind: 'set-ack-rule', rule: any(1, n3) }, true],
    [{ kind: 'set-ack-rule', rule: any(1, n2, n3) }, false],
  ];
  for (const [command, rests] of commands) {
    it(`${command.kind} ${'rule' in command ? formatRule(command.rule) : ''}: ${rests ? 'is' : 'is not'} of it`, () => {
      assert.ok(needsNote(command));
      assert.equal(restsOn(command, known), rests);
    });
  }

  it('may be any rule on the way to nobody: only the leader itself can be elected then', () => {
    const locked = mark({ rule: any(1, n2), nextRule: ALONE });
    assert.ok(restsOn({ kind: 'set-ack-rule', rule: any(1, n2, n3) }, locked));
  });

  it('is one of the recorded rules on the way from nobody, and where nobody acknowledges', () => {
    const command: Command = { kind: 'set-ack-rule', rule: any(1, n2, n3) };
    assert.equal(restsOn(command, mark({ rule: ALONE, nextRule: any(1, n2) })), false);
    assert.equal(restsOn(command, mark({ rule: ALONE, nextRule: null })), false);
    assert.equal(restsOn(command, mark({ rule: ALONE, nextRule: any(1, n2, n3) })), true);
  });
});

describe('a failover on an operator’s word', () => {
  const request = { kind: 'failover', id: 'o', to: n2, proof: 'override', timeoutMs: 30_000 } as const;
  const forced = (seen: number) => {
    const sighting = { storeId: 'a', epoch: epoch(seen), revision: RECORD_REVISION, leader: n1 };
    const store = { ...content({ request }), storeId: 'a' };
    const peers = { n1: silent(60_000), n3: fresh(n3, cut(), { seen: sighting }) };
    return decide(
      observation({ engine: cut(at(5, 4500)), store: { kind: 'current', content: store }, peers }),
      EMPTY_MEMORY,
    );
  };
  it('is not made while somebody has seen more, who can write it back', () => {
    assert.equal(forced(7).reasons[0]?.code, 'store-older-than-seen');
    assert.deepEqual(forced(7).commands, []);
  });
  it('begins an epoch and a line well beyond all that is known', () => {
    const made = recordIn(forced(5));
    assert.deepEqual([made.epoch, made.overrode, made.timeline], [1005, 1005, 70]);
  });
  it('is followed by the usual numbers; the first election after a forced restore takes a line beyond whoever slept', () => {
    const elected = (change: Partial<LeadershipRecord>) => {
      const seals = { n2: seal(at(5, 4500), { epoch: epoch(1005) }), n3: seal(at(5, 4500), { epoch: epoch(1005) }) };
      const store = content({ seals, record: { epoch: epoch(1005), overrode: epoch(1005), ...change } });
      const peers = { n1: silent(5000), n3: fresh(n3, cut()) };
      return recordIn(
        decide(
          observation({ engine: cut(at(5, 4500)), store: { kind: 'current', content: store }, peers }),
          EMPTY_MEMORY,
        ),
      );
    };
    const [usual, restored] = [elected({ cause: 'operator-override' }), elected({ cause: 'store-restored' })];
    assert.deepEqual([usual.epoch, usual.timeline, usual.overrode], [1006, 6, 1005]);
    assert.deepEqual([restored.epoch, restored.timeline, restored.overrode], [1006, 70, 1005]);
  });
});

describe('data of a newer line', () => {
  it('keeps an older record from being noted, unless something was noted before', () => {
    const engine = cut(at(9, 4500));
    assert.equal(mayBeNoted(mark(), null, engine), false);
    assert.equal(
      mayBeNoted(mark(), { storeId: 'a', epoch: epoch(5), revision: revision(50), leader: n1 }, engine),
      true,
    );
  });
});

describe('a restore from members', () => {
  const stopped = cut();
  const of = (member: typeof n1, change: Partial<LiveState> = {}) => live(member, change.engine ?? stopped, change);
  const plan = (heard: readonly LiveState[], change: Partial<Parameters<typeof planRestore>[0]> = {}): RestorePlan =>
    planRestore({
      self: n1,
      known: mark(),
      engine: stopped,
      members: [n1, n2, n3],
      heard: new Map(heard.map((each) => [each.member, each])),
      storeEpoch: null,
      wallMs: 0,
      ...change,
    });

  it('goes on with what was known, as a newer epoch, when everybody was heard', () => {
    const made = plan([of(n2), of(n3)]);
    assert.ok(made.kind === 'ready');
    assert.deepEqual([made.record.epoch, made.record.leader, made.losses], [6, n1, []]);
    assert.equal(made.record.overrode, undefined);
    assert.equal(made.history.cause, 'store-restored');
  });
  it('names who does not answer, and what that may cost', () => {
    const made = plan([of(n2)]);
    assert.ok(made.kind === 'ready');
    assert.match(made.losses.join(' '), /n3 does not answer.*newer leadership.*lost/);
    assert.equal(made.record.overrode, made.record.epoch);
  });
  it('is left to the member that has seen more', () => {
    const made = plan([
      of(n2),
      of(n3, { seen: { storeId: 'a', epoch: epoch(7), revision: revision(70), leader: n3 } }),
    ]);
    assert.equal(made.kind === 'elsewhere' ? made.by : null, n3);
  });
  it('is left to the open primary', () => {
    const made = plan([of(n2, { engine: primary() }), of(n3)], { known: mark({ leader: n2 }) });
    assert.equal(made.kind === 'elsewhere' ? made.by : null, n2);
  });
  it('is not made beside a leader of the same epoch that the old copy let in, by force neither', () => {
    const seen = { storeId: 'a', epoch: epoch(5), revision: revision(70), leader: n2 };
    const made = plan([of(n2, { engine: primary(), seen }), of(n3)], { force: 'yes' });
    assert.match(
      made.kind === 'elsewhere' ? made.text : '',
      /n2 has seen n2 lead epoch 5, not n1.*move its data directory/,
    );
  });
  it('needs force beside a member without data that has seen such a leader: what was acknowledged in it is named', () => {
    const seen = { storeId: 'a', epoch: epoch(5), revision: revision(70), leader: n2 };
    for (const engine of [stopped, primary()]) {
      const made = plan([of(n2, { engine: absent, seen }), of(n3)], { engine, storeEpoch: epoch(5) });
      assert.ok(made.kind === 'ready');
      assert.match(
        made.losses.join(' '),
        /n2 has no data, and has seen n2 lead epoch 5.*would be lost.*never come back/,
      );
      assert.deepEqual([made.record.leader, made.record.epoch, made.record.overrode], [n1, 1005, 1005]);
    }
  });
  it('needs nobody else when this is the open primary', () => {
    const made = plan([], { engine: primary(), known: mark({ rule: ALONE }) });
    assert.deepEqual(made.kind === 'ready' ? made.losses : null, []);
  });
  it('begins an epoch above all that the store and the others have seen', () => {
    const made = plan([of(n2), of(n3)], { storeEpoch: epoch(11) });
    assert.ok(made.kind === 'ready');
    assert.equal(made.record.epoch, 1011);
    assert.match(made.losses.join(), /The store is at epoch 11.*would be lost/);
  });
  it('names an open primary that the old copy let in, whoever of both restores', () => {
    const seen = { storeId: 'a', epoch: epoch(4), revision: revision(70), leader: n2 };
    for (const engine of [stopped, primary()]) {
      const made = plan([of(n2, { engine: primary(), seen }), of(n3)], { engine });
      assert.ok(made.kind === 'ready');
      assert.match(made.losses.join(), /n2 is an open primary in epoch 4, beside epoch 5 of n1.*would be lost/);
      assert.deepEqual([made.record.epoch, made.record.overrode], [1005, 1005]);
    }
  });
  it('that was forced is built upon by whoever slept, with leaderships that nobody heard of', () => {
    const made = plan([of(n2)]);
    assert.ok(made.kind === 'ready');
    const slept = mark({ epoch: epoch(12), leader: n3, timeline: 9, chosenAt: at(8, 9000) }, 900);
    assert.equal(storePast(slept, { storeId: 'a', revision: revision(60), record: made.record }).kind, 'goes-on');
    const forced = {
      ...content({ record: made.record, seals: { n2: seal(at(5, 4500), { epoch: made.record.epoch }) } }),
    };
    const peer = fresh(n3, cut(at(9, 9100)), {
      seen: { storeId: 'a', epoch: epoch(12), revision: revision(900), leader: n3 },
    });
    const obs = observation({
      store: { kind: 'current', content: { ...forced, storeId: 'a' } },
      peers: { n1: silent(60_000), n3: peer },
      engine: cut(at(5, 4500)),
    });
    const decision = decide(obs, EMPTY_MEMORY);
    assert.ok(!(decision.reasons[0]?.code ?? '').startsWith('store-older'), decision.reasons[0]?.text);
  });
  it('says when data is of a newer line than every known leadership', () => {
    const made = plan([of(n2, { engine: replica({ position: at(9, 4600) }) }), of(n3)]);
    assert.match(made.kind === 'ready' ? made.losses.join(' ') : '', /n2's data is on timeline 9/);
  });
});
