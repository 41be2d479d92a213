/**
 * Goal: no single decision breaks a rule that can be checked on it alone, whatever it is shown. Method: observations and memories of
 * every kind, most of them impossible; each rule is written down here in its own words, not taken from the code under test.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Command,
  type Commit,
  contains,
  type Decision,
  decide,
  type LeadershipRecord,
  type Memory,
  memberId,
  type Observation,
  type Position,
  type StoreContent,
  sealsSuffice,
  upToTimeline,
} from '../src/index.ts';
import { memory as anyMemory, observation as anyObservation } from './support/arbitrary.ts';

const RUNS = 4000;

interface Seen {
  readonly obs: Observation;
  readonly content: StoreContent | null;
  readonly record: LeadershipRecord | null;
  readonly decision: Decision;
}

function look(obs: Observation, memory: Memory): Seen {
  const content = obs.store.kind === 'never' ? null : obs.store.content;
  return { obs, content, record: content?.record?.value ?? null, decision: decide(obs, memory) };
}

function always(rule: string, holds: (seen: Seen) => void): void {
  test(rule, () => {
    fc.assert(
      fc.property(anyObservation, anyMemory, (obs, memory) => holds(look(obs, memory))),
      { numRuns: RUNS },
    );
  });
}

const commits = (decision: Decision): readonly Commit[] =>
  decision.commands.filter((command): command is Commit => command.kind === 'commit');

function recordPut(commit: Commit): LeadershipRecord | null {
  for (const put of commit.put) if (put.key === 'record') return put.value;
  return null;
}

/** The leadership that a decision takes, if it takes one. */
function taken({ decision }: Seen): { readonly commit: Commit; readonly next: LeadershipRecord } | null {
  for (const commit of commits(decision)) {
    const next = recordPut(commit);
    if (next !== null && commit.purpose === 'take leadership') return { commit, next };
  }
  return null;
}

// The form of a decision.

/** The engine's part of every decision that there is; anything else would be new, and has to be thought about. */
const ENGINE_PARTS = new Set([
  '',
  'stop',
  'start',
  'seal',
  'follow',
  'clone',
  'rewind',
  'restart',
  'initialize',
  'checkpoint',
  'promote',
  'provision',
  'set-ack-rule',
]);

always(
  'a decision has a reason in words, and no two commands for the engine that contradict each other',
  ({ decision }) => {
    assert.ok(decision.reasons.length > 0);
    for (const { code, text } of decision.reasons) {
      assert.match(code, /^[a-z]+(-[a-z]+)*$/);
      assert.ok(text.length > 0 && text.trim() === text, text);
      assert.doesNotMatch(text, /undefined|null|NaN|Infinity|\[object/);
    }
    const engine = decision.commands.filter((command) => command.kind !== 'commit').map((command) => command.kind);
    assert.ok(ENGINE_PARTS.has(engine.join(' ')), engine.join(' '));
    assert.ok(commits(decision).length <= 1);
  },
);

test('the same input decides the same', () => {
  fc.assert(
    fc.property(anyObservation, anyMemory, (obs, memory) => {
      const [first, second] = [0, 1].map(() => decide(structuredClone(obs), structuredClone(memory)));
      assert.deepEqual(first, second);
    }),
    { numRuns: 2000 },
  );
});

const refuse = (): never => {
  throw new Error('decide changed its input');
};

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  if (value instanceof Map) {
    for (const each of value.values()) freeze(each);
    Object.assign(value, { set: refuse, delete: refuse, clear: refuse });
  }
  for (const each of Object.values(value)) freeze(each);
  return Object.freeze(value);
}

test('decide changes nothing that it is given', () => {
  fc.assert(
    fc.property(anyObservation, anyMemory, (obs, memory) => {
      const next = decide(freeze(structuredClone(obs)), freeze(structuredClone(memory)));
      decide(freeze(structuredClone(obs)), freeze(structuredClone(next.memory)));
    }),
    { numRuns: 3000 },
  );
});

test('the observations reach every command and most reasons, so that the rules below have something to say', (context) => {
  const codes = new Set<string>();
  const kinds = new Set<string>();
  for (const [obs, memory] of fc.sample(fc.tuple(anyObservation, anyMemory), { numRuns: 12_000, seed: 2 })) {
    const decision = decide(obs, memory);
    for (const { code } of decision.reasons) codes.add(code);
    for (const command of decision.commands) kinds.add(command.kind === 'commit' ? command.purpose : command.kind);
  }
  context.diagnostic(`${codes.size} reasons, ${kinds.size} kinds of commands`);
  assert.ok(codes.size >= 60, [...codes].sort().join(' '));
  assert.ok(kinds.size >= 20, [...kinds].sort().join(', '));
  for (const purpose of [
    'promote',
    'follow',
    'seal',
    'clone',
    'take leadership',
    'publish seal',
    'withdraw seal',
    'open',
    'finish ack-rule change',
  ]) {
    assert.ok(kinds.has(purpose), purpose);
  }
});

// What may be written.

always('nothing is written on knowledge that may be old', ({ obs, decision }) => {
  if (obs.store.kind !== 'current') assert.equal(commits(decision).length, 0);
});

always('a record is written only over the very one that was seen', ({ content, decision }) => {
  for (const commit of commits(decision)) {
    if (recordPut(commit) === null) continue;
    const expected = commit.expect.find(({ key }) => key === 'record')?.is;
    assert.equal(expected, content?.record?.revision ?? 'absent');
  }
});

always(
  'only the leader changes its record, within its epoch; another one begins the next',
  ({ obs, record, decision }) => {
    for (const commit of commits(decision)) {
      const next = recordPut(commit);
      if (next === null || record === null) continue;
      assert.equal(next.leader, obs.self);
      assert.equal(next.incarnation, obs.incarnation);
      if (next.epoch === record.epoch) {
        assert.equal(record.leader, obs.self);
        assert.deepEqual([next.timeline, next.chosenAt], [record.timeline, record.chosenAt]);
      } else {
        if (next.overrode === next.epoch) assert.ok(next.epoch >= record.epoch + 1000, 'beyond whoever slept');
        else assert.equal(next.epoch, record.epoch + 1);
        assert.ok(next.timeline > record.timeline);
        assert.equal(next.phase, 'promoting');
      }
    }
  },
);

// Leadership.

always(
  'promote: only for the epoch that the record gives to this node, or that the same decision takes first',
  (seen) => {
    const { obs, record, decision } = seen;
    const at = decision.commands.findIndex((command) => command.kind === 'promote');
    const promote = decision.commands[at];
    if (promote?.kind !== 'promote') return;
    assert.equal(obs.engine.kind, 'replica');
    const before = decision.commands
      .slice(0, at)
      .flatMap((command) => (command.kind === 'commit' ? [recordPut(command)] : []));
    const grant = before.find((each) => each !== null) ?? record;
    assert.ok(grant !== null);
    assert.deepEqual(
      [grant.leader, grant.epoch, grant.timeline, grant.rule, grant.phase],
      [obs.self, promote.epoch, promote.timeline, promote.rule, 'promoting'],
    );
    assert.equal(grant.nextRule, before.length > 0 ? grant.nextRule : (record?.nextRule ?? null));
  },
);

always('promote: never while this node’s own seal for that epoch is in the store', ({ obs, content, decision }) => {
  const own = content?.seals.get(obs.self)?.value.epoch;
  for (const command of decision.commands) {
    if (command.kind === 'promote') assert.notEqual(own, command.epoch);
  }
});

always(
  'leadership is taken with a proof that the transaction itself checks, by a node that holds what the proof demands',
  (seen) => {
    const { obs, content, record } = seen;
    const take = taken(seen);
    if (take === null || record === null || content === null) return;
    const own = obs.engine.kind === 'replica' ? obs.engine.position : null;
    assert.ok(own !== null);
    const expects = (key: string): unknown => take.commit.expect.find((each) => each.key === key)?.is;
    const request = content.request?.value;
    if (take.next.cause === 'operator-override') {
      assert.ok(request?.kind === 'failover' && request.to === obs.self && request.proof === 'override');
      assert.equal(expects('request'), content.request?.revision);
      return;
    }
    if (record.chosenAt !== null) assert.ok(contains(own, record.chosenAt), 'holds what the epoch was built on');
    const counted = [...content.seals].filter(
      ([id, seal]) => seal.value.epoch === record.epoch && expects(`seals/${id}`) === seal.revision,
    );
    const leaderSeal = counted.find(([id]) => id === record.leader)?.[1].value.position;
    if (leaderSeal !== undefined && contains(own, leaderSeal)) return;
    const written = (position: Position): Position | null =>
      record.chosenAt === null ? position : upToTimeline(position, record.timeline);

    if (expects(`sessions/${record.leader}`) === 'absent') {
      assert.equal(record.durability, 'async');
      assert.ok(!content.sessions.has(record.leader));
      return;
    }
    assert.ok(sealsSuffice(record, new Set(counted.map(([id]) => id))));
    for (const [, seal] of counted) {
      const held = written(seal.value.position);
      if (held !== null) assert.ok(contains(own, held));
    }
    assert.equal(content.seals.get(obs.self)?.value.epoch, record.epoch, 'and is sealed itself');
  },
);

always('nobody takes leadership who is tagged nofailover, except by force', (seen) => {
  const take = taken(seen);
  if (take !== null && seen.obs.tags.nofailover) assert.equal(take.next.cause, 'operator-override');
});

always('in a paused cluster leadership is taken only when an operator asks for it', (seen) => {
  if (seen.content?.paused !== true || taken(seen) === null) return;
  const request = seen.content.request?.value;
  assert.ok(request?.kind === 'failover' || request?.kind === 'switchover');
});

always(
  'nothing is opened, and no leadership taken in an existing cluster, by an agent that does not hold its session',
  (seen) => {
    const { obs, content, record, decision } = seen;
    if (record === null) return;
    if (taken(seen) === null && !decision.commands.some((command) => command.kind === 'promote')) return;
    assert.equal(content?.sessions.get(obs.self)?.value, obs.incarnation);
  },
);

// Fencing.

always(
  'a primary is stopped whenever the record names another leader, and has no authority',
  ({ obs, content, record, decision }) => {
    if (obs.engine.kind !== 'primary' || record === null || record.leader === obs.self) return;
    assert.deepEqual(decision.authority, { kind: 'none' });
    if (
      content?.identity?.value.systemId !== null &&
      content?.identity?.value.systemId !== obs.engine.systemId &&
      content?.identity
    )
      return;
    assert.deepEqual(decision.commands, [{ kind: 'stop', mode: 'fence' }]);
  },
);

always('a primary with its own seal in the store is stopped', ({ obs, content, record, decision }) => {
  if (obs.engine.kind !== 'primary' || record === null || content?.seals.get(obs.self)?.value.epoch !== record.epoch)
    return;
  if (decision.reasons[0]?.code === 'foreign-data') return;
  assert.deepEqual(decision.commands, [{ kind: 'stop', mode: 'fence' }]);
});

// Seals.

always('a seal is published only of what can grow no more', ({ obs, decision }) => {
  for (const commit of commits(decision)) {
    const put = commit.put.find((each) => each.key === `seals/${obs.self}`);
    if (commit.purpose !== 'publish seal' || put === undefined) continue;
    const { engine } = obs;
    if (engine.kind === 'stopped') {
      assert.equal(engine.shutdown, 'clean');
      continue;
    }
    assert.ok(engine.kind === 'replica');
    assert.notEqual(engine.position, null);
    assert.equal(engine.upstream, null);
    assert.notEqual(engine.receiver.kind, 'streaming');
  }
});

always(
  'seals are written by their own node only, and expect its session and the record',
  ({ obs, content, decision }) => {
    for (const commit of commits(decision)) {
      for (const put of commit.put) {
        if (!put.key.startsWith('seals/')) continue;
        assert.equal(put.key, `seals/${obs.self}`);
        const keys = commit.expect.map(({ key }) => key);
        assert.ok(keys.includes('record') && keys.includes(`seals/${obs.self}`));
        if (commit.purpose !== 'publish seal') continue;
        assert.ok(keys.includes(`sessions/${obs.self}`));
        assert.equal(content?.sessions.get(obs.self)?.value, obs.incarnation);
      }
    }
  },
);

always(
  'while its own seal is in the store a node follows only another sealed replica, on whose history it is, and only when it is cut',
  ({ obs, content, record, decision }) => {
    if (content?.seals.get(obs.self)?.value.epoch !== record?.epoch) return;
    for (const command of decision.commands) {
      if (command.kind !== 'follow') continue;
      const seal = content?.seals.get(command.upstream)?.value;
      assert.equal(seal?.epoch, record?.epoch);
      assert.ok(command.upstream !== obs.self && command.upstream !== record?.leader);
      assert.ok(obs.engine.kind === 'replica' && obs.engine.position !== null && seal !== undefined);
      assert.ok(obs.engine.upstream === null && obs.engine.receiver.kind !== 'streaming');
      assert.ok(contains(seal.position, obs.engine.position));
    }
  },
);

always(
  'a node that is not sealed follows the leader, or whom it is wanted under; never on old knowledge, never itself',
  ({ obs, content, record, decision }) => {
    for (const command of decision.commands) {
      if (command.kind !== 'follow') continue;
      assert.equal(obs.store.kind, 'current');
      if (content?.seals.get(obs.self)?.value.epoch === record?.epoch) continue;
      assert.notEqual(command.upstream, obs.self);
      if (command.upstream === record?.leader) continue;
      // Below another replica goes only who is wanted there and does not acknowledge, and never beyond what that one has applied.
      assert.equal(content?.config?.value.upstreams[obs.self], command.upstream);
      assert.ok(!record?.rule.members.includes(obs.self) && record?.nextRule?.members.includes(obs.self) !== true);
      const source = obs.peers.get(command.upstream);
      assert.ok(source?.kind === 'fresh' && source.live.engine.kind === 'replica' && obs.engine.kind === 'replica');
      assert.ok(obs.engine.position !== null && contains(source.live.engine.replayed, obs.engine.position));
      assert.notEqual(source.live.engine.upstream, obs.self);
    }
  },
);

// Acks.

always(
  'the server is told only rules that the record holds, or that the same decision records first',
  ({ obs, record, decision }) => {
    const at = decision.commands.findIndex((command) => command.kind === 'set-ack-rule');
    const command = decision.commands[at];
    if (command?.kind !== 'set-ack-rule' || record === null) return;
    assert.equal(record.leader, obs.self);
    assert.equal(obs.engine.kind, 'primary');
    const before = decision.commands.slice(0, at).flatMap((each) => (each.kind === 'commit' ? [recordPut(each)] : []));
    const known = [record.rule, record.nextRule, ...before.map((each) => each?.nextRule ?? null)];
    // A record that names no rule lets nobody be elected: under it any rule may be tried.
    const locked = record.nextRule?.required === 0;
    assert.ok(locked || known.some((rule) => rule !== null && JSON.stringify(rule) === JSON.stringify(command.rule)));
  },
);

always(
  'a weaker record follows the proof that the server counts by it, with enough members at the barrier',
  ({ obs, record, decision }) => {
    if (record === null || record.nextRule === null) return;
    for (const commit of commits(decision)) {
      const next = recordPut(commit);
      if (next === null || next.epoch !== record.epoch || next.nextRule !== null) continue;
      assert.ok(obs.engine.kind === 'primary');
      const { running, barrier } = obs.engine.acks;
      assert.deepEqual(running, next.rule);
      assert.ok(barrier !== null);
      const holding = obs.engine.replicas.filter(
        (each) => next.rule.members.includes(each.member) && contains(each.confirmed, barrier),
      );
      assert.ok(holding.length >= next.rule.required);
    }
  },
);

// Data.

const touches = (command: Command): boolean => command.kind !== 'commit';

always('data that is not ours is not touched', ({ obs, content, decision }) => {
  const expected = content?.identity?.value.systemId ?? null;
  const found = 'systemId' in obs.engine ? obs.engine.systemId : null;
  const foreign = expected !== null && found !== null && expected !== found;
  const refused = obs.engine.kind === 'refused' && obs.engine.data !== 'damaged';
  if (foreign || refused) assert.ok(!decision.commands.some(touches));
});

always(
  'data is replaced only on fresh knowledge, from an open leader that is seen to be a primary',
  ({ obs, record, decision }) => {
    for (const command of decision.commands) {
      if (command.kind !== 'clone' && command.kind !== 'rewind') continue;
      assert.equal(obs.store.kind, 'current');
      assert.equal(command.from, record?.leader);
      assert.notEqual(command.from, obs.self);
      const leader = obs.peers.get(memberId(command.from));
      assert.ok(leader?.kind === 'fresh' && leader.live.engine.kind === 'primary');
    }
  },
);

always(
  'a database is made only where there is none, in a cluster that nobody has founded',
  ({ obs, content, decision }) => {
    for (const command of decision.commands) {
      if (command.kind !== 'initialize') continue;
      assert.ok(obs.engine.kind === 'absent' || obs.engine.kind === 'incomplete');
      assert.equal(content?.identity?.value.state, 'claimed');
      assert.equal(content?.identity?.value.by, obs.self);
      assert.equal(content?.record, null);
    }
  },
);

// Authority.

always(
  'authority is for the recorded leader’s server only, and never longer than its evidence allows',
  ({ obs, content, record, decision }) => {
    if (decision.authority.kind === 'none') return;
    assert.equal(record?.leader, obs.self);
    assert.ok(obs.engine.kind === 'primary' || obs.engine.kind === 'unresponsive');
    const ttl = content?.config?.value.leaseTtlMs ?? 10_000;
    assert.ok(decision.authority.until <= Math.max(obs.authority.leaseUntil ?? 0, obs.now + ttl));
    if (record?.durability === 'async') assert.equal(decision.authority.until, obs.authority.leaseUntil);
  },
);
