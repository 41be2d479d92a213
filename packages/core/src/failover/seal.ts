import { seenBy, storeDoubt } from '../bootstrap/store-past.ts';
import {
  type Action,
  act,
  type ClusterContext,
  freshPeer,
  heldSession,
  missingSession,
  ownSeal,
  wait,
} from '../context.ts';
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
export function sealWhenSuspected(ctx: ClusterContext): Action | null {
  const { obs, record } = ctx;
  if (obs.engine.kind !== 'replica' || ownSeal(ctx) !== null) return null;
  const verdict = suspicion(ctx);
  if (verdict.kind === 'trusts') return null;
  const quorum = ctx.record.value.durability === 'async' ? asyncReady(ctx) : quorumReady(ctx);
  if (quorum !== null) return quorum;
  if (obs.engine.upstream !== null || obs.engine.receiver.kind === 'streaming') {
    const cut: EngineCommand = { kind: 'seal', epoch: record.value.epoch };
    return act('sealing', `${verdict.reason.text} Cutting the replication stream from ${record.value.leader}.`, [cut]);
  }
  if (obs.engine.position === null) {
    return wait('sealing-reads-log', 'The stream is cut; the local log is still being read to its end.');
  }
  return publishSeal(
    ctx,
    obs.engine.position,
    'seal-published',
    `${verdict.reason.text} Sealed for epoch ${record.value.epoch} at ${formatPosition(obs.engine.position)}.`,
  );
}

function quorumReady(ctx: ClusterContext): Action | null {
  const rule = ruleToStop(ctx.record.value);
  const members = suspecting(ctx, 'yes');
  if (isSealQuorum(ctx, members)) return null;
  if (rule.required === 0) return wait('leader-alone', leaderAlone(ctx.record.value));
  const missing = rule.members.filter((member) => !members.has(member));
  return wait(
    'suspicion-quorum-missing',
    `The leader looks dead from here, but that is not confirmed by ${missing.join(', ')}.`,
  );
}

function asyncReady(ctx: ClusterContext): Action | null {
  const { leader } = ctx.record.value;
  if (!ctx.content.sessions.has(leader)) return null;
  return wait('lease-not-expired', leaseHolds(leader));
}

/**
 * Publishes this node's seal, on condition that the record, an earlier seal of ours and our session are what they were when read. The
 * session keeps out what a dead agent of this name sent and what arrives only now.
 */
export function publishSeal(
  ctx: ClusterContext,
  position: Position,
  code: ReasonCode,
  text: string,
  planned: Pick<Seal, 'planned'> = {},
): Action {
  const { obs, record } = ctx;
  const doubt = storeDoubt(ctx);
  if (doubt !== null) return doubt;
  const session = heldSession(ctx);
  if (session === null) return missingSession();
  const { epoch } = record.value;
  const basis = basisOf(ctx);
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
        value: { epoch, incarnation: obs.incarnation, position, ...planned, ...seenBy(ctx) },
      },
    ],
  };
  return act(code, text, [commit], { sealedSince: { epoch, since: obs.now }, sealAttempt: { epoch, basis } });
}

function basisOf(ctx: ClusterContext): Revision | 'absent' {
  return ctx.content.seals.get(ctx.obs.self)?.revision ?? 'absent';
}

/** Whether a seal that this agent tried to publish in this epoch may still arrive in the store. */
export function mayBeSealedYet(ctx: ClusterContext): boolean {
  const attempt = ctx.memory.sealAttempt;
  return attempt?.epoch === ctx.record.value.epoch && attempt.basis === basisOf(ctx);
}

/** Takes a seal, or an attempt at one, back: whatever was sent before expects something else under the key and fails from now on. */
export function withdrawSeal(ctx: ClusterContext, position: Position, text: string): Action {
  const { obs, record } = ctx;
  const commit: Commit = {
    kind: 'commit',
    purpose: 'withdraw seal',
    expect: [
      { key: 'record', is: record.revision },
      { key: `seals/${obs.self}`, is: basisOf(ctx) },
    ],
    put: [{ key: `seals/${obs.self}`, value: { epoch: epoch(0), incarnation: obs.incarnation, position } }],
  };
  return act('seal-withdrawn', text, [commit], { sealedSince: null });
}

/**
 * While sealed, a node stays cut, whatever else is going on: re-cut if something reconnected it. The seal is given back when the leader
 * turned out to be alive, in the store and *before* the node connects again, so that an election that counted it fails its comparison.
 */
export function staySealed(ctx: ClusterContext): Action | null {
  const { obs, record, memory } = ctx;
  const seal = ownSeal(ctx);
  if (seal === null || record.value.leader === obs.self) return null;
  const isConnected =
    obs.engine.kind === 'replica' && (obs.engine.upstream !== null || obs.engine.receiver.kind === 'streaming');
  if (isConnected && !fetchesFromSealed(ctx)) {
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
  const leader = freshPeer(ctx, record.value.leader);
  const alive = obs.store.kind === 'current' && leader?.engine.kind === 'primary' && suspicion(ctx).kind === 'trusts';
  if (!alive || elapsedMs(since, obs.now) < WITHDRAW_AFTER_MS) {
    return wait('sealed', `Sealed for epoch ${record.value.epoch}; waiting for a quorum of seals.`);
  }
  return withdrawSeal(
    ctx,
    seal.value.position,
    `${record.value.leader} is alive and nobody was elected: giving the seal back.`,
  );
}
