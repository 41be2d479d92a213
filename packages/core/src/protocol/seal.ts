import { formatPosition, type Position } from '../position/position.ts';
import { elapsedMs } from '../values/brand.ts';
import type { Commit, EngineCommand } from '../values/command.ts';
import { isSealQuorum, suspecting, suspicion } from './suspicion.ts';
import { act, freshPeer, type LedTurn, ownSeal, type Step, wait } from './turn.ts';

/** A seal that led to no election is withdrawn after this long, if the leader is well. */
const WITHDRAW_AFTER_MS = 2000;

/**
 * Step 2 of a failover, on one replica: cut the receiver, prove that it is gone, publish the final position.
 * From then on this node acknowledges nothing for the old epoch. Without a quorum of suspicion nothing is cut: one node's bad link must
 * not cost the cluster an acker.
 */
export function sealWhenSuspected(turn: LedTurn): Step | null {
  const { obs, record } = turn;
  if (obs.engine.kind !== 'replica' || ownSeal(turn) !== null) return null;
  const verdict = suspicion(turn);
  if (verdict.kind === 'trusts') return null;
  const quorum = turn.record.value.durability === 'async' ? asyncReady(turn) : quorumReady(turn);
  if (quorum !== null) return quorum;
  if (obs.engine.upstream !== null || obs.engine.receiver.kind === 'streaming') {
    const cut: EngineCommand = { kind: 'seal', epoch: record.value.epoch };
    return act('sealing', `${verdict.reason.text} Cutting the replication stream from ${record.value.leader}.`, [cut]);
  }
  if (obs.engine.position === null) {
    return wait('sealing-reads-log', 'The stream is cut; the local log is still being read to its end.');
  }
  return act(
    'seal-published',
    `${verdict.reason.text} Sealed for epoch ${record.value.epoch} at ${formatPosition(obs.engine.position)}.`,
    [publishSeal(turn, obs.engine.position)],
    { sealedSince: { epoch: record.value.epoch, since: obs.now } },
  );
}

function quorumReady(turn: LedTurn): Step | null {
  const { epoch, rule } = turn.record.value;
  const members = suspecting(turn, 'yes');
  if (isSealQuorum(turn, members)) return null;
  if (rule.required === 0) {
    return wait(
      'leader-alone',
      `Epoch ${epoch} was recorded as acknowledging alone: only ${turn.record.value.leader} itself may open again.`,
    );
  }
  const missing = rule.members.filter((member) => !members.has(member));
  return wait(
    'suspicion-quorum-missing',
    `The leader looks dead from here, but that is not confirmed by ${missing.join(', ')}.`,
  );
}

function asyncReady(turn: LedTurn): Step | null {
  const { leader } = turn.record.value;
  if (!turn.content.sessions.has(leader)) return null;
  return wait(
    'lease-not-expired',
    `In async mode the lease of ${leader} is its only fence, and it has not expired yet.`,
  );
}

/** Publishes this node's seal, on condition that neither the record nor an earlier seal of ours has changed since it was read. */
export function publishSeal(turn: LedTurn, position: Position): Commit {
  const { obs, record, content } = turn;
  return {
    kind: 'commit',
    purpose: 'publish seal',
    expect: [
      { key: 'record', is: record.revision },
      { key: `seals/${obs.self}`, is: content.seals.get(obs.self)?.revision ?? 'absent' },
    ],
    put: [{ key: `seals/${obs.self}`, value: { epoch: record.value.epoch, incarnation: obs.incarnation, position } }],
  };
}

/**
 * While sealed, a node stays cut: re-cut if something reconnected it, give the seal back when the leader turned out to be alive. The
 * seal is deleted in the store *before* the node connects again, so that an election that counted it fails its comparison.
 */
export function staySealed(turn: LedTurn): Step | null {
  const { obs, record, memory } = turn;
  const seal = ownSeal(turn);
  if (seal === null || record.value.leader === obs.self) return null;
  if (obs.engine.kind === 'replica' && (obs.engine.upstream !== null || obs.engine.receiver.kind === 'streaming')) {
    return act('sealing', 'Sealed for this epoch, yet connected: cutting again.', [
      { kind: 'seal', epoch: record.value.epoch },
    ]);
  }
  const since = memory.sealedSince?.epoch === record.value.epoch ? memory.sealedSince.since : null;
  if (since === null) {
    return wait('sealed', 'Sealed; waiting for an election.', {
      sealedSince: { epoch: record.value.epoch, since: obs.now },
    });
  }
  const leader = freshPeer(turn, record.value.leader);
  const alive = leader?.engine.kind === 'primary' && suspicion(turn).kind === 'trusts';
  if (!alive || elapsedMs(since, obs.now) < WITHDRAW_AFTER_MS) {
    return wait('sealed', `Sealed for epoch ${record.value.epoch}; waiting for a quorum of seals.`);
  }
  return act(
    'seal-withdrawn',
    `${record.value.leader} is alive and nobody was elected: giving the seal back.`,
    [
      {
        kind: 'commit',
        purpose: 'withdraw seal',
        expect: [
          { key: 'record', is: record.revision },
          { key: `seals/${obs.self}`, is: seal.revision },
        ],
        put: [{ key: `seals/${obs.self}`, value: 'delete' }],
      },
    ],
    { sealedSince: null },
  );
}
