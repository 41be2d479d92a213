import { seenBy, storeDoubt } from '../bootstrap/store-past.ts';
import { act, freshPeer, heldSession, type LedTurn, missingSession, ownSeal, type Step, wait } from '../context.ts';
import { formatPosition, type Position } from '../position/position.ts';
import { elapsedMs, epoch, type Revision } from '../values/brand.ts';
import type { Commit, EngineCommand } from '../values/command.ts';
import type { ReasonCode } from '../values/reason.ts';
import { ruleToStop, type Seal } from '../values/record.ts';
import { fetchesFromSealed } from './fast-forward.ts';
import { isSealQuorum, leaderAlone, leaseHolds, suspecting, suspicion } from './suspicion.ts';

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
  return publishSeal(
    turn,
    obs.engine.position,
    'seal-published',
    `${verdict.reason.text} Sealed for epoch ${record.value.epoch} at ${formatPosition(obs.engine.position)}.`,
  );
}

function quorumReady(turn: LedTurn): Step | null {
  const rule = ruleToStop(turn.record.value);
  const members = suspecting(turn, 'yes');
  if (isSealQuorum(turn, members)) return null;
  if (rule.required === 0) return wait('leader-alone', leaderAlone(turn.record.value));
  const missing = rule.members.filter((member) => !members.has(member));
  return wait(
    'suspicion-quorum-missing',
    `The leader looks dead from here, but that is not confirmed by ${missing.join(', ')}.`,
  );
}

function asyncReady(turn: LedTurn): Step | null {
  const { leader } = turn.record.value;
  if (!turn.content.sessions.has(leader)) return null;
  return wait('lease-not-expired', leaseHolds(leader));
}

/**
 * Publishes this node's seal, on condition that the record, an earlier seal of ours and our session are what they were when read. The
 * session keeps out what a dead agent of this name sent and what arrives only now.
 */
export function publishSeal(
  turn: LedTurn,
  position: Position,
  code: ReasonCode,
  text: string,
  planned: Pick<Seal, 'planned'> = {},
): Step {
  const { obs, record } = turn;
  const doubt = storeDoubt(turn);
  if (doubt !== null) return doubt;
  const session = heldSession(turn);
  if (session === null) return missingSession();
  const { epoch } = record.value;
  const basis = basisOf(turn);
  const commit: Commit = {
    kind: 'commit',
    purpose: 'publish seal',
    expect: [
      { key: 'record', is: record.revision },
      { key: `seals/${obs.self}`, is: basis },
      { key: `sessions/${obs.self}`, is: session.revision },
    ],
    put: [
      {
        key: `seals/${obs.self}`,
        value: { epoch, incarnation: obs.incarnation, position, ...planned, ...seenBy(turn) },
      },
    ],
  };
  return act(code, text, [commit], { sealedSince: { epoch, since: obs.now }, sealAttempt: { epoch, basis } });
}

function basisOf(turn: LedTurn): Revision | 'absent' {
  return turn.content.seals.get(turn.obs.self)?.revision ?? 'absent';
}

/** Whether a seal that this agent tried to publish in this epoch may still arrive in the store. */
export function mayBeSealedYet(turn: LedTurn): boolean {
  const attempt = turn.memory.sealAttempt;
  return attempt?.epoch === turn.record.value.epoch && attempt.basis === basisOf(turn);
}

/** Takes a seal, or an attempt at one, back: whatever was sent before expects something else under the key and fails from now on. */
export function withdrawSeal(turn: LedTurn, position: Position, text: string): Step {
  const { obs, record } = turn;
  const commit: Commit = {
    kind: 'commit',
    purpose: 'withdraw seal',
    expect: [
      { key: 'record', is: record.revision },
      { key: `seals/${obs.self}`, is: basisOf(turn) },
    ],
    put: [{ key: `seals/${obs.self}`, value: { epoch: epoch(0), incarnation: obs.incarnation, position } }],
  };
  return act('seal-withdrawn', text, [commit], { sealedSince: null });
}

/**
 * While sealed, a node stays cut, whatever else is going on: re-cut if something reconnected it. The seal is given back when the leader
 * turned out to be alive, in the store and *before* the node connects again, so that an election that counted it fails its comparison.
 */
export function staySealed(turn: LedTurn): Step | null {
  const { obs, record, memory } = turn;
  const seal = ownSeal(turn);
  if (seal === null || record.value.leader === obs.self) return null;
  const isConnected =
    obs.engine.kind === 'replica' && (obs.engine.upstream !== null || obs.engine.receiver.kind === 'streaming');
  if (isConnected && !fetchesFromSealed(turn)) {
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
  const alive = obs.store.kind === 'current' && leader?.engine.kind === 'primary' && suspicion(turn).kind === 'trusts';
  if (!alive || elapsedMs(since, obs.now) < WITHDRAW_AFTER_MS) {
    return wait('sealed', `Sealed for epoch ${record.value.epoch}; waiting for a quorum of seals.`);
  }
  return withdrawSeal(
    turn,
    seal.value.position,
    `${record.value.leader} is alive and nobody was elected: giving the seal back.`,
  );
}
