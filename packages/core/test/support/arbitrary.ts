/** Observations of every kind, also such as never occur: `decide` must be safe on all of them. */
import fc from 'fast-check';
import {
  type AckRule,
  ALONE,
  ackRule,
  type ClusterConfig,
  DEFAULT_CONFIG,
  EMPTY_MEMORY,
  type EngineJob,
  type EngineState,
  epoch,
  type LeadershipRecord,
  type MemberId,
  type Memory,
  ms,
  type Observation,
  type OperatorRequest,
  type PeerView,
  type Position,
  revision,
  type Seal,
  type StoreContent,
  type StoreView,
  systemId,
  type Versioned,
} from '../../src/index.ts';
import { live, member, NOW, n1, n2, n3, n4, process1, record, SYSTEM, tags } from './build.ts';
import { at, on } from './positions.ts';

const MEMBERS = [n1, n2, n3, n4] as const;
const id = fc.constantFrom<MemberId>(...MEMBERS);
const leaderId = fc.constantFrom<MemberId>(n1, n1, n1, n1, n2);

/** Mostly on one history, sometimes on another. */
export const position: fc.Arbitrary<Position> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(at(5, 4300), at(5, 4500), at(5, 4600)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      at(4, 3900),
      at(4, 4000),
      on(4, 4050, [1, 1000], [2, 2000], [3, 3000]),
      at(5, 4100),
      on(5, 4500, [1, 1000], [2, 2000], [3, 3000], [4, 3950]),
      at(6, 5100),
    ),
  },
);

const rule: fc.Arbitrary<AckRule> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(ALONE) },
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.subarray([...MEMBERS], { minLength: 1 }), fc.integer({ min: 1, max: 2 }))
      .map(([members, k]) => ackRule(members, k)),
  },
);

const silence = fc.constantFrom(0, 50, 500, 1000, 3000, 20_000);
const system = fc.oneof(
  { weight: 40, arbitrary: fc.constant(SYSTEM) },
  { weight: 1, arbitrary: fc.constant(systemId('1')) },
);

const primary: fc.Arbitrary<EngineState> = fc.record({
  kind: fc.constant('primary' as const),
  systemId: system,
  position,
  acks: fc.record({ running: fc.option(rule, { freq: 6 }), barrier: fc.option(position, { freq: 6 }) }),
  replicas: fc.uniqueArray(
    fc.record({
      member: id,
      kind: fc.constantFrom('catching-up', 'streaming'),
      confirmed: position,
      silentMs: silence,
    }),
    { selector: (each) => each.member, maxLength: 3 },
  ),
});

const engine: fc.Arbitrary<EngineState> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.constantFrom<EngineState>(
      { kind: 'absent' },
      { kind: 'incomplete' },
      { kind: 'refused', problem: 'Not ours.' },
      { kind: 'refused', problem: 'Damaged.', data: 'damaged' },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('stopped' as const),
      shutdown: fc.constantFrom('clean', 'crashed'),
      position: fc.option(position),
      systemId: system,
    }),
  },
  { weight: 1, arbitrary: silence.map((sinceMs) => ({ kind: 'starting', sinceMs }) as const) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('replica' as const),
      systemId: system,
      position: fc.option(position, { freq: 7 }),
      replayed: position,
      upstream: fc.option(leaderId, { freq: 2 }),
      receiver: fc.oneof(
        { weight: 4, arbitrary: fc.constant({ kind: 'none' } as const) },
        {
          weight: 1,
          arbitrary: fc
            .constantFrom('unknown', 'refused', 'wal-removed', 'history', 'damaged', 'slot', 'login')
            .map((cause) => ({ kind: 'broken', cause }) as const),
        },
        { weight: 2, arbitrary: silence.map((silentMs) => ({ kind: 'streaming', silentMs }) as const) },
      ),
    }),
  },
  {
    weight: 5,
    arbitrary: primary,
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('unresponsive' as const),
      was: fc.constantFrom('replica', 'primary', 'unknown'),
      sinceMs: silence,
    }),
  },
);

const someEpoch = fc.constantFrom(0, 4, 5, 6).map(epoch);
const someRevision = fc.constantFrom(10, 20, 50, 60, 61).map(revision);
const versioned = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<Versioned<T>> =>
  fc.record({ value, revision: someRevision });

const leadership: fc.Arbitrary<LeadershipRecord> = fc
  .record({
    leader: leaderId,
    incarnation: fc.constantFrom(n1, n1, n1, n2).map(process1),
    phase: fc.constantFrom('promoting', 'promoting', 'open', 'open', 'open'),
    rule,
    nextRule: fc.option(rule, { freq: 3 }),
    chosenAt: fc.option(fc.constantFrom(at(4, 4000), at(4, 3900)), { freq: 9 }),
    opened: fc.constantFrom(at(5, 4100), at(5, 4100), at(5, 4100), at(5, 4550)),
    durability: fc.constantFrom('sync', 'sync', 'sync', 'async'),
  })
  .map(({ opened, ...each }) => record({ ...each, opened: each.phase === 'open' ? opened : null }));

const request: fc.Arbitrary<OperatorRequest> = fc.oneof(
  fc.record({
    kind: fc.constant('switchover' as const),
    id: fc.constant('r1'),
    from: fc.option(id),
    to: fc.option(id),
    notBeforeWallMs: fc.constantFrom(null, 1_600_000_000_000, 1_800_000_000_000),
    timeoutMs: fc.constantFrom(1000, 10_000),
  }),
  fc.record({
    kind: fc.constant('failover' as const),
    id: fc.constant('r1'),
    to: id,
    proof: fc.constantFrom('quorum', 'override'),
    timeoutMs: fc.constantFrom(1000, 10_000),
  }),
  fc.record({ kind: fc.constantFrom('reinit', 'restart'), id: fc.constant('r1'), member: id }),
);

const seal: fc.Arbitrary<Seal> = fc.record({
  epoch: fc.oneof(
    { weight: 9, arbitrary: fc.constant(epoch(5)) },
    { weight: 1, arbitrary: fc.constantFrom(0, 4).map(epoch) },
  ),
  incarnation: id.map(process1),
  position,
});

const config: fc.Arbitrary<ClusterConfig> = fc
  .record({
    durability: fc.constantFrom('sync', 'sync', 'async'),
    requiredAcks: fc.constantFrom(1, 1, 2),
    whenShort: fc.constantFrom('block', 'degrade'),
    rejoin: fc.constantFrom('automatic', 'automatic', 'manual'),
    maxLagOnFailoverBytes: fc.constantFrom(0, 1000),
    electionStaggerMs: fc.constantFrom(0, 300),
    degradeAfterMs: fc.constantFrom(0, 3000),
    ackerGoneMs: fc.constantFrom(0, 1500),
    upstreams: fc.option(fc.dictionary(id, id), { nil: {}, freq: 2 }),
  })
  .map((change) => ({ ...DEFAULT_CONFIG, ...change }) as ClusterConfig);

const memberTags = fc
  .record({ nofailover: fc.boolean(), nosync: fc.boolean(), priority: fc.constantFrom(0, 100, 200) })
  .map((each) => tags({ ...each, nofailover: each.nofailover && each.priority === 0 }));

function mapOf<T>(value: fc.Arbitrary<T>, presence = 0.7): fc.Arbitrary<ReadonlyMap<MemberId, T>> {
  const each = fc.option(value, { nil: null, freq: Math.round(1 / (1 - presence)) });
  return fc.tuple(...MEMBERS.map(() => each)).map((values) => {
    const found = new Map<MemberId, T>();
    values.forEach((present, index) => {
      const key = MEMBERS[index];
      if (present !== null && key !== undefined) found.set(key, present);
    });
    return found;
  });
}

const content: fc.Arbitrary<StoreContent> = fc.record({
  identity: fc.oneof(
    {
      weight: 12,
      arbitrary: fc.constant({
        value: { state: 'founded', by: n1, incarnation: process1(n1), systemId: SYSTEM, engine: 'postgres' },
        revision: revision(5),
      } as const),
    },
    {
      weight: 6,
      arbitrary: fc.constantFrom(n1, n2).map((by) => ({
        value: { state: 'claimed', by, incarnation: process1(by), systemId: null, engine: 'postgres' } as const,
        revision: revision(5),
      })),
    },
    { weight: 1, arbitrary: fc.constant(null) },
  ),
  config: fc.option(versioned(config), { freq: 10 }),
  record: fc.option(versioned(leadership), { freq: 8 }),
  members: mapOf(memberTags, 0.9).map((all) => new Map([...all].map(([key, each]) => [key, member(key, each)]))),
  sessions: mapOf(fc.constantFrom(0, 1), 0.9).map(
    (all) =>
      new Map(
        [...all].map(([key, other]) => [
          key,
          { value: other === 1 && key === n4 ? process1(n1) : process1(key), revision: revision(20) },
        ]),
      ),
  ),
  seals: mapOf(versioned(seal)),
  request: fc.option(versioned(request), { freq: 2 }),
  paused: fc.constantFrom(false, false, false, true),
});

const store: fc.Arbitrary<StoreView> = fc.oneof(
  { weight: 20, arbitrary: content.map((each) => ({ kind: 'current', content: each }) as const) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('stale' as const), content, silentMs: silence }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'never' } as const) },
);

const peer = (of: MemberId): fc.Arbitrary<PeerView> =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .record({
          engine: of === n1 ? fc.oneof(engine, primary) : engine,
          suspects: fc.constantFrom(null, epoch(5), epoch(4)),
          leaderPosition: fc.option(position),
        })
        .map(({ engine: state, ...rest }) => ({ kind: 'fresh', live: live(of, state, rest), silentMs: 0 }) as const),
    },
    { weight: 2, arbitrary: silence.map((silentMs) => ({ kind: 'silent', last: null, silentMs }) as const) },
    { weight: 1, arbitrary: silence.map((forMs) => ({ kind: 'refusing', last: null, forMs }) as const) },
  );

const job: fc.Arbitrary<EngineJob | null> = fc.oneof(
  { weight: 14, arbitrary: fc.constant(null) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom<EngineJob['kind']>('initialize', 'clone', 'rewind', 'start', 'stop', 'checkpoint', 'promote')
      .map((kind) => ({ kind, sinceMs: 100, progress: null })),
  },
);

const failures = fc.subarray(
  [
    { command: 'promote', agoMs: 100, code: 'ENGINE_PROMOTE_FAILED', message: 'No.' },
    { command: 'rewind', agoMs: 100, code: 'ENGINE_REWIND_FAILED', message: 'No.' },
    { command: 'clone', agoMs: 100, code: 'ENGINE_CLONE_FAILED', message: 'No.' },
  ],
  { maxLength: 1 },
);

export const observation: fc.Arbitrary<Observation> = fc
  .record({
    self: id,
    store,
    engine,
    job,
    tags: memberTags,
    canRewind: fc.constantFrom('yes', 'no'),
    peers: fc.tuple(...MEMBERS.map((each) => fc.option(peer(each), { nil: null, freq: 7 }))),
    leaseUntil: fc.constantFrom(null, ms(NOW - 1), ms(NOW + 5000)),
    failures,
  })
  .map(({ peers, leaseUntil, self, ...rest }) => ({
    ...rest,
    self,
    now: ms(NOW),
    wallMs: 1_700_000_000_000,
    incarnation: process1(self),
    engineName: 'postgres',
    peers: new Map(
      peers.flatMap((view, index) => {
        const key = MEMBERS[index];
        return view === null || key === undefined || key === self ? [] : [[key, view] as const];
      }),
    ),
    authority: { leaseUntil },
  }));

const instant = fc.constantFrom(0, NOW - 60_000, NOW - 2500, NOW - 400, NOW).map(ms);
const inEpoch = fc.record({ epoch: someEpoch, since: instant });

export const memory: fc.Arbitrary<Memory> = fc
  .record({
    ackersGoneSince: mapOf(instant, 0.5),
    finishing: fc.option(fc.record({ revision: someRevision, rule }), { freq: 2 }),
    ackEvidence: fc.option(fc.record({ epoch: someEpoch, rule, at: instant }), { freq: 2 }),
    shortSince: fc.option(instant, { freq: 2 }),
    election: fc.option(inEpoch, { freq: 3 }),
    sealedSince: fc.option(inEpoch, { freq: 3 }),
    sealAttempt: fc.option(
      fc.record({ epoch: someEpoch, basis: fc.oneof(someRevision, fc.constant('absent' as const)) }),
      { freq: 2 },
    ),
    promotionEnded: fc.option(someEpoch, { freq: 2 }),
    promotionFailed: fc.option(fc.record({ epoch: someEpoch, why: fc.constant('no') }), { freq: 2 }),
    downSince: fc.option(instant, { freq: 2 }),
    request: fc.option(
      fc.record({ id: fc.constant('r1'), since: instant, step: fc.constantFrom('seen', 'checkpoint', 'stop') }),
      { freq: 2 },
    ),
    leaderNotOpenSince: fc.option(inEpoch, { freq: 2 }),
    leaderPosition: fc.option(position, { freq: 4 }),
    cascade: fc.option(
      fc.record({
        upstream: fc.constantFrom<MemberId>(...MEMBERS),
        state: fc.constantFrom('trying', 'given-up'),
        since: instant,
      }),
      { freq: 3 },
    ),
    refusedSince: fc.option(fc.record({ epoch: someEpoch, since: instant }), { freq: 3 }),
    stoppedSince: fc.option(fc.record({ epoch: someEpoch, since: instant }), { freq: 3 }),
    rewindFailed: fc.option(someEpoch, { freq: 2 }),
  })
  .map((each) => ({ ...EMPTY_MEMORY, ...each }));
