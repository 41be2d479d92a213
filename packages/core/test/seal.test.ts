import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epoch, ms, revision } from '../src/index.ts';
import {
  any,
  codeOf,
  commitOf,
  cut,
  decideOn,
  disconnected,
  EPOCH_5,
  fresh,
  kindsOf,
  NOW,
  n1,
  n2,
  n3,
  process1,
  RECORD_REVISION,
  replica,
  seal,
  silent,
  stale,
  suspecting,
} from './support/build.ts';
import { at } from './support/positions.ts';

/** The leader is silent for this node, and n3 says the same. */
const DEAD_LEADER = { [n1]: silent(1500), [n3]: suspecting(n3) };

test('a suspicion that a quorum shares cuts the receiver first and publishes nothing yet', () => {
  const decision = decideOn({ engine: disconnected(), peers: DEAD_LEADER });
  assert.deepEqual(decision.commands, [{ kind: 'seal', epoch: EPOCH_5 }]);
  assert.equal(decision.suspects, EPOCH_5);
});

test('a receiver that is still streaming is cut, never sealed over', () => {
  const streaming = replica({ upstream: null, receiver: { kind: 'streaming', silentMs: 1500 } });
  assert.deepEqual(kindsOf(decideOn({ engine: streaming, peers: DEAD_LEADER })), ['seal']);
});

test('once the receiver is gone, the final position is published on condition that nothing changed meanwhile', () => {
  const decision = decideOn({ engine: cut(at(5, 4400)), peers: DEAD_LEADER });
  const commit = commitOf(decision);
  assert.equal(codeOf(decision), 'seal-published');
  assert.deepEqual(commit.put, [
    { key: 'seals/n2', value: { epoch: EPOCH_5, incarnation: process1(n2), position: at(5, 4400) } },
  ]);
  assert.deepEqual(commit.expect, [
    { key: 'record', is: RECORD_REVISION },
    { key: 'seals/n2', is: 'absent' },
    { key: 'sessions/n2', is: revision(20) },
  ]);
});

test('a log that is not read to its end has no final position: the seal waits', () => {
  const decision = decideOn({ engine: cut(null), peers: DEAD_LEADER });
  assert.equal(codeOf(decision), 'sealing-reads-log');
  assert.deepEqual(decision.commands, []);
});

test('one node alone with its suspicion cuts nothing', () => {
  const decision = decideOn({ engine: disconnected(), peers: { [n1]: silent(1500) } });
  assert.deepEqual(decision.commands, []);
  assert.equal(decision.suspects, EPOCH_5, 'but it tells the others');
});

test('where one acker suffices to stop the leader, its suspicion suffices too', () => {
  const decision = decideOn({
    engine: disconnected(),
    store: { record: { rule: any(1, n2) } },
    peers: { [n1]: silent(1500) },
  });
  assert.deepEqual(kindsOf(decision), ['seal']);
});

test('a leader that was recorded as acknowledging alone is replaced by nobody', () => {
  const decision = decideOn({ engine: disconnected(), store: { record: { rule: any(0) } }, peers: DEAD_LEADER });
  assert.equal(codeOf(decision), 'leader-alone');
  assert.deepEqual(decision.commands, []);
});

test('a seal needs the session of this very agent: without it a late write of a dead one could not be told apart', () => {
  const decision = decideOn({ engine: cut(), peers: DEAD_LEADER, store: { sessions: [n1, n3] } });
  assert.equal(codeOf(decision), 'session-missing');
  assert.deepEqual(decision.commands, []);
});

// What a sealed node must never do: connect again while its seal may be counted.
const OWN_SEAL = { seals: { [n2]: seal(at(5, 4500)) } };

test('sealed: stays cut while the leader is not known to be well', () => {
  const decision = decideOn({ engine: cut(), store: OWN_SEAL, peers: DEAD_LEADER });
  assert.deepEqual(decision.commands, []);
});

test('sealed: stays cut when the store stops answering, although the leader looks well', () => {
  const decision = decideOn({ engine: cut(), store: stale(OWN_SEAL) });
  assert.deepEqual(decision.commands, []);
});

test('sealed: stays cut in a paused cluster, and gives the seal back there too', () => {
  const store = { ...OWN_SEAL, paused: true };
  assert.deepEqual(decideOn({ engine: cut(), store }).commands, []);
  const later = decideOn({ engine: cut(), store }, { sealedSince: { epoch: EPOCH_5, since: ms(NOW - 5000) } });
  assert.equal(codeOf(later), 'seal-withdrawn');
});

test('sealed: is cut again when something reconnected it, also while the store does not answer', () => {
  assert.deepEqual(kindsOf(decideOn({ engine: replica(), store: OWN_SEAL })), ['seal']);
  assert.deepEqual(kindsOf(decideOn({ engine: replica(), store: stale(OWN_SEAL) })), ['seal']);
});

test('sealed: is given back in the store before the node connects, and in a way that an old attempt to seal notices', () => {
  const decision = decideOn(
    { engine: cut(), store: OWN_SEAL },
    { sealedSince: { epoch: EPOCH_5, since: ms(NOW - 3000) } },
  );
  assert.equal(codeOf(decision), 'seal-withdrawn');
  assert.equal(decision.commands.length, 1);
  const commit = commitOf(decision);
  // Deleting the key would let a delayed first attempt, which expected its absence, succeed later.
  assert.deepEqual(commit.put, [
    { key: 'seals/n2', value: { epoch: epoch(0), incarnation: process1(n2), position: at(5, 4500) } },
  ]);
  assert.deepEqual(commit.expect, [
    { key: 'record', is: RECORD_REVISION },
    { key: 'seals/n2', is: revision(60) },
  ]);
});

test('sealed: is not given back to a leader that is silent, down, or not open', () => {
  const since = { sealedSince: { epoch: EPOCH_5, since: ms(NOW - 60_000) } };
  for (const leader of [silent(1500), fresh(n1, cut()), fresh(n1, { kind: 'starting', sinceMs: 10 })]) {
    const decision = decideOn({ engine: cut(), store: OWN_SEAL, peers: { [n1]: leader, [n3]: suspecting(n3) } }, since);
    assert.deepEqual(decision.commands, []);
  }
});

test('a seal for an earlier epoch is no seal: the node follows the new leader', () => {
  const decision = decideOn({
    engine: cut(at(5, 4050)),
    store: { seals: { [n2]: seal(at(4, 3900), { epoch: epoch(4) }) } },
  });
  assert.deepEqual(kindsOf(decision), ['follow']);
});

// A seal whose writing may still be under way: its outcome is unknown, or the view is older than it.
test('after an attempt to seal whose outcome the store does not show, the node takes it back before it connects', () => {
  const attempt = { sealAttempt: { epoch: EPOCH_5, basis: 'absent' as const } };
  const decision = decideOn({ engine: cut() }, attempt);
  assert.equal(codeOf(decision), 'seal-withdrawn');
  assert.deepEqual(commitOf(decision).expect, [
    { key: 'record', is: RECORD_REVISION },
    { key: 'seals/n2', is: 'absent' },
  ]);
  const after = decideOn(
    { engine: cut(), store: { seals: { [n2]: seal(at(5, 4500), { epoch: epoch(0) }) } } },
    attempt,
  );
  assert.deepEqual(kindsOf(after), ['follow']);
});

test('the attempt is remembered by the decision that makes it', () => {
  const decision = decideOn({ engine: cut(), peers: DEAD_LEADER });
  assert.deepEqual(decision.memory.sealAttempt, { epoch: EPOCH_5, basis: 'absent' });
});

test('a replica is pointed at nobody on stale knowledge, nor before its agent holds its session', () => {
  assert.equal(codeOf(decideOn({ engine: cut(), store: stale() })), 'store-silent');
  assert.equal(codeOf(decideOn({ engine: cut(), store: { sessions: [n1, n3] } })), 'session-missing');
});
