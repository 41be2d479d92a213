/** Store values and peer messages: whatever is written is read back the same; what is not understood is refused by name. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ackRule,
  DEFAULT_CONFIG,
  type EngineState,
  epoch,
  type HistoryEntry,
  incarnation,
  type LeadershipRecord,
  type LiveState,
  lsn,
  memberId,
  type Position,
  type Seal,
  shortened,
  systemId,
} from '@understudy/core';
import type { KeyValue, Revision, Snapshot, StoreId } from '@understudy/store';
import fc from 'fast-check';
import { applyWrites, decodeSnapshot, encodeCommit } from '../src/codec/content.ts';
import {
  decodeConfig,
  decodeHistory,
  decodeRecord,
  decodeSeal,
  encodeStoreValue,
  StoreValueError,
} from '../src/codec/store-values.ts';
import { applyBeat, formatBeat, formatReport, parseStreamMessage, type ReportExtra } from '../src/peers/report.ts';

/** Records with the usual prototype, so that strict comparison with parsed values holds. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { noNullPrototype: true });

const members = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/).map(memberId);
const epochs = fc.nat().map(epoch);
const incarnations = fc.uuid().map(incarnation);
const lsns = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(lsn);
const timelines = fc.integer({ min: 1, max: 0xffffffff });
const positions: fc.Arbitrary<Position> = record({
  kind: fc.constant('wal'),
  timeline: timelines,
  lsn: lsns,
  history: fc.array(record({ timeline: timelines, switchLsn: lsns }), { maxLength: 4 }),
});
const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const rules = fc.uniqueArray(members, { minLength: 1, maxLength: 5 }).map((ids) => ackRule(ids, 1));
const leaderships: fc.Arbitrary<LeadershipRecord> = record({
  epoch: epochs,
  leader: members,
  incarnation: incarnations,
  phase: fc.constantFrom('promoting', 'open'),
  timeline: timelines,
  rule: rules,
  nextRule: nullable(rules),
  chosenAt: nullable(positions),
  opened: nullable(positions),
  durability: fc.constantFrom('sync', 'async'),
  cause: fc.stringMatching(/^[a-z-]{1,20}$/),
});
const records: fc.Arbitrary<LeadershipRecord> = fc
  .tuple(leaderships, nullable(positions))
  .map(([each, floor]) => (floor === null ? each : { ...each, floor }));
const seals: fc.Arbitrary<Seal> = record({ epoch: epochs, incarnation: incarnations, position: positions });
const histories: fc.Arbitrary<HistoryEntry> = record({
  epoch: epochs,
  leader: members,
  timeline: timelines,
  cause: fc.constant('bootstrap'),
  chosenAt: nullable(positions),
  wallMs: fc.nat(),
});
const silences = fc.nat({ max: 100_000 });
const engines: fc.Arbitrary<EngineState> = fc.oneof(
  fc.constant<EngineState>({ kind: 'absent' }),
  record({ kind: fc.constant('refused' as const), problem: fc.string() }),
  record({
    kind: fc.constant('stopped' as const),
    shutdown: fc.constantFrom('clean' as const, 'crashed' as const),
    position: nullable(positions),
    systemId: fc.constant(systemId('7')),
  }),
  record({
    kind: fc.constant('replica' as const),
    systemId: fc.constant(systemId('7')),
    position: nullable(positions),
    replayed: positions,
    upstream: nullable(members),
    receiver: fc.oneof(
      fc.constant({ kind: 'none' as const }),
      record({ kind: fc.constant('streaming' as const), silentMs: silences }),
    ),
  }),
  record({
    kind: fc.constant('primary' as const),
    systemId: fc.constant(systemId('7')),
    position: positions,
    acks: record({ running: nullable(rules), barrier: nullable(positions) }),
    replicas: fc.array(
      record({
        member: members,
        kind: fc.constantFrom('catching-up' as const, 'streaming' as const),
        confirmed: positions,
        silentMs: silences,
      }),
      { maxLength: 3 },
    ),
  }),
);
const lives: fc.Arbitrary<LiveState> = record({
  member: members,
  incarnation: incarnations,
  epoch: nullable(epochs),
  engine: engines,
  suspects: nullable(epochs),
  leaderPosition: nullable(positions),
});

const EXTRA: ReportExtra = {
  reasons: [{ code: 'steady', text: 'All is well.' }],
  job: null,
  version: '17.10',
  pendingRestart: [],
  warnings: [],
  retainedBytes: {},
  serves: 'replica',
  replayLagMs: 3,
};

const rev = (value: number): Revision => value as Revision;
const entry = (key: string, value: string, at = 1): KeyValue => ({
  key,
  value,
  createRevision: rev(at),
  modRevision: rev(at),
  lease: null,
});
const snapshot = (entries: readonly KeyValue[], at = 1): Snapshot => ({
  storeId: 's' as StoreId,
  revision: rev(at),
  entries: new Map(entries.map((each) => [each.key, each])),
});

describe('store values', () => {
  it('are read back as they were written', () => {
    fc.assert(
      fc.property(records, seals, histories, (leadership, seal, history) => {
        assert.deepEqual(decodeRecord('record', encodeStoreValue(leadership)), leadership);
        assert.deepEqual(decodeSeal('seals/a', encodeStoreValue(seal)), seal);
        assert.deepEqual(decodeHistory('history/1', encodeStoreValue(history)), history);
      }),
    );
    assert.deepEqual(decodeConfig('config', encodeStoreValue(DEFAULT_CONFIG)), DEFAULT_CONFIG);
  });

  it('are written under the names of the version before, and read under both', () => {
    fc.assert(
      fc.property(records, (leadership) => {
        const stored = encodeStoreValue(leadership);
        for (const [code, old] of [
          ['nextRule', 'moving'],
          ['timeline', 'lineage'],
        ] as const) {
          assert.ok(old in JSON.parse(stored) && !(code in JSON.parse(stored)), stored);
        }
        const newer = stored.replace('"moving":', '"nextRule":').replace('"lineage":', '"timeline":');
        assert.deepEqual(decodeRecord('record', newer), leadership);
      }),
    );
  });

  it('are refused by name when they are anything else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          decodeRecord('record', text);
          assert.fail('was accepted');
        } catch (error) {
          assert.ok(error instanceof StoreValueError, String(error));
          assert.equal(error.key, 'record');
        }
      }),
    );
  });

  it('ignore fields of a newer version, and take defaults for those of an older one', () => {
    assert.deepEqual(decodeConfig('config', '{"newSetting":1,"requiredAcks":2}'), {
      ...DEFAULT_CONFIG,
      requiredAcks: 2,
    });
  });

  it('make nothing of a snapshot in which a value that matters is broken', () => {
    assert.throws(() => decodeSnapshot(snapshot([entry('record', '{}')])), StoreValueError);
    assert.throws(() => decodeSnapshot(snapshot([entry('seals/n1', 'x')])), StoreValueError);
    const lenient = decodeSnapshot(snapshot([entry('history/1', 'x'), entry('outcomes/1', '{}'), entry('future', '')]));
    assert.equal(lenient.warnings.length, 3);
  });
});

describe('commits', () => {
  it('become transactions, and their writes show in the snapshot without another read', () => {
    fc.assert(
      fc.property(records, (leadership) => {
        const before = snapshot([entry('request', 'x', 3)], 5);
        const { compares, writes } = encodeCommit({
          kind: 'commit',
          purpose: 'test',
          expect: [
            { key: 'record', is: 'absent' },
            { key: 'request', is: 3 as never },
          ],
          put: [
            { key: 'record', value: leadership },
            { key: 'request', value: 'delete' },
          ],
        });
        assert.deepEqual(compares, [
          { kind: 'absent', key: 'record' },
          { kind: 'unchanged', key: 'request', modRevision: 3 },
        ]);
        const after = decodeSnapshot(applyWrites(before, writes, rev(9)));
        assert.deepEqual(after.content.record, { value: leadership, revision: 9 });
        assert.equal(after.content.request, null);
      }),
    );
  });
});

function throughTheWire(text: string) {
  const lines = text.trimEnd().split('\n');
  return parseStreamMessage((lines[0] ?? '').slice('event: '.length), (lines[1] ?? '').slice('data: '.length));
}

describe('peer messages', () => {
  it('carry any live state', () => {
    fc.assert(
      fc.property(lives, (live) => {
        assert.deepEqual(throughTheWire(formatReport(7, { live, extra: EXTRA })), {
          kind: 'report',
          atMs: 7,
          report: { live, extra: EXTRA },
        });
      }),
    );
  });

  it('are taken however much there is to say', () => {
    const long = 'x'.repeat(10_000);
    const voids = Array.from(
      { length: 200 },
      (_, i) => ({ effect: i === 199 ? 'loss' : 'assumed', text: long }) as const,
    );
    const position: Position = { kind: 'wal', timeline: 1, lsn: lsn(1n), history: [] };
    const engines: readonly EngineState[] = [
      { kind: 'refused', problem: long },
      {
        kind: 'replica',
        systemId: systemId('1'),
        position,
        replayed: position,
        upstream: null,
        receiver: { kind: 'broken', cause: 'unknown', detail: long },
        blocked: long,
        voids,
      },
      {
        kind: 'primary',
        systemId: systemId('1'),
        position,
        acks: { running: null, barrier: null, unproven: long },
        replicas: [],
        voids,
      },
    ];
    for (const engine of engines) {
      const live = {
        member: memberId('n1'),
        incarnation: incarnation('a'),
        epoch: null,
        engine,
        suspects: null,
        leaderPosition: null,
      };
      const message = throughTheWire(formatReport(7, { live, extra: EXTRA }));
      assert.ok(message?.kind === 'report');
      const seen = message.report.live.engine;
      if (seen.kind !== 'refused' && 'voids' in seen)
        assert.equal(seen.voids?.[0]?.effect, 'loss', 'the worst is said first');
    }
  });

  it('and records stay small after ten thousand leaderships', () => {
    const history = Array.from({ length: 10_000 }, (_, i) => ({
      timeline: i + 1,
      switchLsn: lsn(BigInt(i + 1) << 24n),
    }));
    const position = shortened({ kind: 'wal', timeline: 10_001, lsn: lsn(1n << 40n), history });
    const beat = formatBeat({ atMs: 1, position, replayed: position });
    assert.ok(beat.length < 40_000, `${beat.length}`);
    assert.deepEqual(throughTheWire(beat), { kind: 'beat', beat: { atMs: 1, position, replayed: position } });
    const [like] = fc.sample(records, 1);
    assert.ok(like !== undefined);
    const leadership = { ...like, chosenAt: position, opened: position, floor: position };
    const text = encodeStoreValue(leadership);
    assert.ok(text.length < 60_000, `${text.length}`);
    assert.deepEqual(decodeRecord('record', text), leadership);
  });

  it('carry beats, which move positions and nothing else', () => {
    fc.assert(
      fc.property(lives, positions, positions, (live, position, replayed) => {
        const message = throughTheWire(formatBeat({ atMs: 1, position, replayed }));
        assert.deepEqual(message, { kind: 'beat', beat: { atMs: 1, position, replayed } });
        const after = applyBeat(live, { atMs: 1, position, replayed });
        assert.equal(after.engine.kind, live.engine.kind);
        if (after.engine.kind === 'replica') assert.deepEqual(after.engine.replayed, replayed);
        if (after.engine.kind === 'primary') assert.deepEqual(after.engine.position, position);
      }),
    );
  });

  it('are refused when broken, and passed over when of a newer kind', () => {
    assert.equal(parseStreamMessage('future', '{}'), null);
    assert.throws(() => parseStreamMessage('state', '{}'), /is not understood/);
    assert.throws(() => parseStreamMessage('beat', 'x'), /is not JSON/);
  });
});
