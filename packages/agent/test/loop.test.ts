/** Turns, tempo, locks and the ring of decisions. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import {
  ackRule,
  DEFAULT_TAGS,
  decide,
  EMPTY_MEMORY,
  epoch,
  incarnation,
  type LeadershipRecord,
  lsn,
  memberId,
  ms,
  type Observation,
  revision,
  type StoreContent,
  systemId,
} from '@understudy/core';
import fc from 'fast-check';
import { lockHolder, lockRunDir } from '../src/agent/lock.ts';
import { moveAwayIfLarge } from '../src/agent/logger.ts';
import { AgentError, OLD_RING_FILE, type ReplayedDecision, RING_FILE, replay } from '../src/index.ts';
import { Failures } from '../src/loop/failures.ts';
import { Runner } from '../src/loop/runner.ts';
import { Tempo } from '../src/loop/tempo.ts';
import { Upkeep } from '../src/loop/upkeep.ts';
import { fromText, toText } from '../src/ring/json.ts';
import { DecisionRing } from '../src/ring/ring.ts';
import { eventually } from './support/eventually.ts';

async function folderFor(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'us-loop-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('runner', () => {
  it('never runs two turns at a time, and makes one more turn for triggers during one', async () => {
    let running = 0;
    let turns = 0;
    let release: () => void = () => undefined;
    const runner = new Runner({
      turn: async () => {
        turns++;
        running++;
        assert.equal(running, 1);
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        running--;
        return Number.POSITIVE_INFINITY;
      },
    });
    runner.start();
    await eventually('first turn', () => (turns === 1 ? true : null));
    for (let i = 0; i < 10; i++) runner.trigger();
    release();
    await eventually('second turn', () => (turns === 2 ? true : null));
    release();
    await eventually('idle', () => (running === 0 ? true : null));
    const stopped = runner.stop();
    runner.trigger();
    await stopped;
    assert.equal(turns, 2);
  });

  it('goes on after a turn that failed', async () => {
    let turns = 0;
    const runner = new Runner({
      turn: () => {
        turns++;
        return turns === 1 ? Promise.reject(new Error('once')) : Promise.resolve(Number.POSITIVE_INFINITY);
      },
    });
    runner.start();
    await eventually('another turn', () => (turns >= 2 ? true : null));
    await runner.stop();
  });
});

describe('tempo', () => {
  it('takes decisions that follow on one another at once, though not without end', () => {
    const tempo = new Tempo();
    const delays = Array.from({ length: 100 }, () => tempo.next({ kind: 'done' }, true, 0));
    assert.equal(delays[0], 0);
    assert.ok((delays.at(-1) ?? 0) > 0);
  });

  it('backs off from failures, up to a second', () => {
    const tempo = new Tempo();
    const delays = Array.from({ length: 30 }, () => tempo.next({ kind: 'failed' }, false, 0));
    assert.ok(delays.every((delay, index) => index === 0 || delay >= (delays[index - 1] ?? 0)));
    assert.equal(delays.at(-1), 1_000);
  });
});

describe('run directory', () => {
  it('belongs to one agent; the lock of a dead one is taken over', async (context) => {
    const runDir = join(await folderFor(context), 'run');
    const who = { member: 'n1', apiUrl: 'http://127.0.0.1:1', incarnation: incarnation('first') };
    const lock = await lockRunDir(runDir, who);
    assert.equal((await lockHolder(runDir))?.pid, process.pid);
    await assert.rejects(
      lockRunDir(runDir, who),
      (error) => error instanceof AgentError && error.code === 'AGENT_ALREADY_RUNNING',
    );
    const content = JSON.parse(await readFile(join(runDir, 'agent.lock'), 'utf8'));
    await writeFile(join(runDir, 'agent.lock'), JSON.stringify({ ...content, startTicks: '1' }));
    assert.equal(await lockHolder(runDir), null, 'the same number, but another process');
    const second = await lockRunDir(runDir, { ...who, incarnation: incarnation('second') });
    assert.deepEqual(second.predecessors, ['first']);
    second.release();
    lock.release();
    assert.equal(await lockHolder(runDir), null);
  });

  it('says what is wrong when it cannot be made', async (context) => {
    const file = join(await folderFor(context), 'file');
    await writeFile(file, '');
    const who = { member: 'n1', apiUrl: 'x', incarnation: incarnation('first') };
    await assert.rejects(
      lockRunDir(join(file, 'run'), who),
      (error) => error instanceof AgentError && error.code === 'RUN_DIR_UNUSABLE',
    );
  });
});

const OBSERVATION: Observation = {
  now: ms(1),
  wallMs: 2,
  self: memberId('n1'),
  incarnation: incarnation('i'),
  tags: DEFAULT_TAGS,
  engineName: 'postgres',
  store: { kind: 'never' },
  engine: {
    kind: 'stopped',
    shutdown: 'clean',
    position: { kind: 'wal', timeline: 1, lsn: lsn(2n ** 60n), history: [] },
    systemId: systemId('7'),
  },
  job: null,
  canRewind: 'yes',
  peers: new Map([[memberId('n2'), { kind: 'silent', last: null, silentMs: Number.POSITIVE_INFINITY }]]),
  authority: { leaseUntil: null },
  failures: [],
};

const NOTHING_STORED: StoreContent = {
  identity: null,
  config: null,
  record: null,
  members: new Map(),
  sessions: new Map(),
  seals: new Map(),
  request: null,
  paused: false,
};

describe('decision ring', () => {
  it('keeps maps, big integers and infinities', () => {
    const leaf = fc.oneof(
      fc.integer(),
      fc.bigInt(),
      fc.string(),
      fc.constant(null),
      fc.constant(Number.POSITIVE_INFINITY),
    );
    const value = fc.oneof(
      leaf,
      fc.array(leaf),
      fc.array(fc.tuple(fc.string(), leaf)).map((entries) => new Map(entries)),
    );
    fc.assert(fc.property(value, (each) => assert.deepEqual(fromText(toText({ each })), { each })));
  });

  it('is decided again as it was, and tells where that differs', async (context) => {
    const folder = await folderFor(context);
    const ring = new DecisionRing(folder, 1024 * 1024);
    const decision = decide(OBSERVATION, EMPTY_MEMORY);
    ring.note(OBSERVATION, EMPTY_MEMORY, decision);
    ring.note({ ...OBSERVATION, now: ms(2) }, EMPTY_MEMORY, decision);
    const other = { ...decision, commands: [] };
    ring.note(OBSERVATION, EMPTY_MEMORY, other);
    await ring.close();
    const seen: ReplayedDecision[] = [];
    const result = await replay(join(folder, RING_FILE), (each) => seen.push(each));
    assert.deepEqual(result, { decisions: 2, differing: 1 });
    assert.deepEqual(
      seen.map(({ verdict }) => verdict),
      ['same', 'differs'],
    );
  });

  it('is decided again also when the version before recorded it', async (context) => {
    const file = join(await folderFor(context), 'x');
    const record: LeadershipRecord = {
      epoch: epoch(1),
      leader: memberId('n2'),
      incarnation: incarnation('j'),
      phase: 'open',
      timeline: 2,
      rule: ackRule([OBSERVATION.self], 1),
      nextRule: ackRule([OBSERVATION.self, memberId('n3')], 1),
      chosenAt: null,
      opened: null,
      durability: 'sync',
      cause: 'bootstrap',
    };
    const content = { ...NOTHING_STORED, record: { value: record, revision: revision(1) } };
    const observation: Observation = { ...OBSERVATION, store: { kind: 'current', content } };
    const decision = decide(observation, EMPTY_MEMORY);
    const text = toText({ version: 1, observation, memory: EMPTY_MEMORY, decision });
    await writeFile(file, `${text.replaceAll('"nextRule":', '"moving":').replace('"timeline":2', '"lineage":2')}\n`);
    const seen: ReplayedDecision[] = [];
    await replay(file, (each) => seen.push(each));
    assert.deepEqual(
      seen.map((each) => [each.verdict, each.observation]),
      [['same', observation]],
    );
  });

  it('stays within its limit', async (context) => {
    const folder = await folderFor(context);
    const limit = 64 * 1024;
    const ring = new DecisionRing(folder, limit);
    const decision = decide(OBSERVATION, EMPTY_MEMORY);
    for (let i = 0; i < 500; i++) {
      const code = i % 2 === 0 ? ('leading' as const) : ('following' as const);
      ring.note(OBSERVATION, EMPTY_MEMORY, { ...decision, reasons: [{ code, text: 'x'.repeat(200) }] });
      if (i % 10 === 0) await ring.close();
    }
    await ring.close();
    const sizes = await Promise.all(
      [RING_FILE, OLD_RING_FILE].map(async (name) => (await stat(join(folder, name))).size),
    );
    assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 2 * limit, String(sizes));
  });

  it('refuses a file that is something else', async (context) => {
    const file = join(await folderFor(context), 'x');
    await writeFile(file, '{"version":3}\n');
    await assert.rejects(
      replay(file, () => undefined),
      (error) => error instanceof AgentError && error.code === 'RING_INVALID',
    );
  });
});

describe('the time of standing things', () => {
  it('comes every second, and at once when the leadership record has changed', () => {
    const upkeep = new Upkeep();
    const [first, second] = [{ revision: revision(1) }, { revision: revision(2) }];
    assert.equal(upkeep.isDue(null, 'no', 0), true);
    assert.equal(upkeep.isDue(null, 'no', 900), false);
    assert.equal(upkeep.isDue(first, 'no', 901), true);
    assert.equal(upkeep.isDue(first, 'no', 1000), false);
    assert.equal(upkeep.isDue(second, 'no', 1001), true);
    assert.equal(upkeep.isDue(second, 'no', 2001), true);
    assert.equal(upkeep.isDue(second, 'no', 2002), false);
    upkeep.hasten();
    assert.equal(upkeep.isDue(second, 'no', 2003), true);
    assert.equal(upkeep.isDue(second, 'yes', 2004), true);
    assert.equal(upkeep.isDue(second, 'yes', 2005), false);
  });
});

it('a copy that fails for a reason that stays is tried less and less often, another failure as before', () => {
  const failures = new Failures();
  const gaps: number[] = [];
  let now = 0;
  for (let attempt = 0; attempt < 8; attempt++) {
    failures.add('clone', 'ENGINE_DISK_FULL', 'no room', now);
    const before = now;
    while (failures.recent(now).length > 0) now += 1_000;
    gaps.push(Math.round((now - before) / 10_000));
  }
  assert.deepEqual(gaps, [1, 2, 4, 8, 16, 30, 30, 30]);
  for (const [command, code] of [
    ['clone', 'ENGINE_UNREACHABLE'],
    ['rewind', 'ENGINE_DISK_FULL'],
  ] as const) {
    for (let attempt = 0; attempt < 4; attempt++) {
      failures.add(command, code, '', now);
      now += 11_000;
      assert.deepEqual(failures.recent(now), [], `${command} ${code}`);
    }
  }
});

describe('the log file', () => {
  it('is moved away when it is too large, and only then', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'us-log-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, 'agent.log');
    assert.equal(moveAwayIfLarge(file, 10), false, 'there is none');
    await writeFile(file, '0123456789');
    assert.equal(moveAwayIfLarge(file, 10), false);
    await writeFile(file, '0123456789a');
    assert.equal(moveAwayIfLarge(file, 10), true);
    assert.equal(await readFile(`${file}.1`, 'utf8'), '0123456789a');
  });
});
