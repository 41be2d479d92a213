import { storeDoubt } from '../bootstrap/store-past.ts';
import {
  type Action,
  act,
  type ClusterContext,
  currentSeals,
  dueHandover,
  heldSession,
  missingSession,
  ownReplicaPosition,
  ownSeal,
  tagsOf,
  wait,
} from '../context.ts';
import { firstRule } from '../durability/first-rule.ts';
import { promotionDeadline } from '../patience.ts';
import { contains, distanceBytes, formatPosition, type Position, relation } from '../position/position.ts';
import { sealQuorum } from '../values/ack-rule.ts';
import { elapsedMs } from '../values/brand.ts';
import type { Commit } from '../values/command.ts';
import type { LeadershipCause } from '../values/reason.ts';
import { type LeadershipRecord, ruleToStop } from '../values/record.ts';
import { fastForward, fetchesFromSealed } from './fast-forward.ts';
import { nextNumbers } from './next-numbers.ts';
import { findProof, lastKnownOfLeader, mayHoldOldLease, type Proof } from './proof.ts';
import { rankOf, votesPendingMs } from './ranking.ts';
import { isSealQuorum, leaderAlone, leaseHolds } from './suspicion.ts';

/** Step 3 and 4 of a failover: find a proof, rank those who satisfy it, and take the leadership if this node is first. */
export function elect(ctx: ClusterContext): Action | null {
  const { obs, record, content } = ctx;
  const own = ownReplicaPosition(ctx);
  if (own === null || content.identity?.value.state !== 'founded') return null;
  // Every proof that can be found begins with a seal.
  if (currentSeals(ctx).size === 0) return null;
  const doubt = storeDoubt(ctx);
  if (doubt !== null) return doubt;
  const proof = findProof(ctx, own);
  if (proof === null) return explainNoProof(ctx);
  // Without its own seal a node may still be acknowledging; only the old leader's end makes that irrelevant.
  if (proof.kind !== 'leader' && ownSeal(ctx) === null) return null;
  if (tagsOf(ctx, obs.self).nofailover) {
    return wait('candidate-nofailover', 'This member is tagged nofailover and takes no leadership.');
  }
  const blocked = obs.engine.kind === 'replica' ? obs.engine.blocked : undefined;
  if (blocked !== undefined) {
    return wait('candidate-blocked', `This node cannot open what it has received: ${blocked}.`);
  }
  const lacking = proof.base.find((base) => !contains(own, base));
  if (lacking !== undefined) {
    return (
      fastForward(ctx, own, proof.base) ??
      wait(
        'candidate-behind',
        `This node ends at ${formatPosition(own)}; acknowledged writes may reach ${formatPosition(lacking)}.`,
      )
    );
  }
  const election =
    ctx.memory.election?.epoch === record.value.epoch
      ? ctx.memory.election
      : { epoch: record.value.epoch, since: obs.now };
  const rank = rankOf(ctx, own, proof);
  const patienceMs = rank.ahead * ctx.config.electionStaggerMs + rank.handoverMs + votesPendingMs(ctx, proof);
  if (elapsedMs(election.since, obs.now) < patienceMs) {
    return wait(
      'candidate-waits',
      `${rank.first} comes first; this node acts in ${Math.ceil(patienceMs - elapsedMs(election.since, obs.now))} ms if it does not.`,
      { election },
    );
  }
  if (fetchesFromSealed(ctx)) {
    return act('sealing', 'This node has fetched what it lacked: cutting that stream before it leads.', [
      { kind: 'seal', epoch: record.value.epoch },
    ]);
  }
  return takeLeadership(ctx, own, proof);
}

/** A sealed node says what is still missing. */
function explainNoProof(ctx: ClusterContext): Action | null {
  const { record } = ctx;
  const sealed = currentSeals(ctx);
  if (!sealed.has(ctx.obs.self)) return null;
  if (record.value.durability === 'async') return explainNoLeaseProof(ctx);
  const rule = ruleToStop(record.value);
  if (rule.required === 0) return wait('leader-alone', leaderAlone(record.value));
  const missing = rule.members.filter((member) => !sealed.has(member));
  if (isSealQuorum(ctx, new Set(sealed.keys()))) {
    const ends = [...sealed].map(([member, seal]) => `${member} ends at ${formatPosition(seal.value.position)}`);
    return wait(
      'seals-contradict',
      `Enough members are sealed, but what they hold contradicts each other: ${ends.join('; ')}. Accept the loss of what one of them holds with \`understudy failover --force\`.`,
    );
  }
  return wait(
    'seal-quorum-missing',
    `${sealQuorum(rule)} of (${rule.members.join(', ')}) must be sealed; ${missing.join(', ') || 'none'} missing. Start that node, or accept the loss with \`understudy failover --force\`.`,
  );
}

function explainNoLeaseProof(ctx: ClusterContext): Action {
  const { leader } = ctx.record.value;
  if (ctx.content.sessions.has(leader)) return wait('lease-not-expired', leaseHolds(leader));
  if (mayHoldOldLease(ctx)) {
    const sealedSince = ctx.memory.sealedSince ?? { epoch: ctx.record.value.epoch, since: ctx.obs.now };
    const text = `The store was restored, and ${leader} may still hold the lease that it had before; this node waits twice ${ctx.config.leaseTtlMs} ms.`;
    return wait('lease-not-expired', text, { sealedSince });
  }
  const own = ownReplicaPosition(ctx);
  const known = lastKnownOfLeader(ctx);
  if (own === null || known === null) {
    return wait('leader-position-unknown', `Nobody saw how far ${leader} had come, so the loss cannot be bounded.`);
  }
  const lag =
    relation(own, known) === 'diverged'
      ? `is on another history than ${leader} was`
      : `lacks ${distanceBytes(known, own)} bytes of what ${leader} had`;
  return wait('candidate-behind', `This node ${lag} (limit ${ctx.config.maxLagOnFailoverBytes} bytes).`);
}

/** Writes the next epoch with this node as its leader, and promotes while that is fresh. */
export function takeLeadership(ctx: ClusterContext, own: Position, proof: Proof): Action {
  const { obs, record } = ctx;
  const session = heldSession(ctx);
  if (session === null) return missingSession();
  const rule = firstRule(ctx, own);

  const next: LeadershipRecord = {
    ...nextNumbers(ctx, own, proof.kind === 'override' ? 'yes' : 'no'),
    leader: obs.self,
    incarnation: obs.incarnation,
    phase: 'promoting',
    rule,
    nextRule: null,
    chosenAt: own,
    opened: null,
    durability: ctx.config.durability,
    cause: causeOf(ctx, proof),
    ...carriedOn(ctx, proof),
  };
  const commit: Commit = {
    kind: 'commit',
    purpose: 'take leadership',
    expect: [
      { key: 'record', is: record.revision },
      { key: `sessions/${obs.self}`, is: session.revision },
      ...proof.expect,
    ],
    put: [{ key: 'record', value: next }],
  };
  return act(
    'elected',
    `Chosen for epoch ${next.epoch} at ${formatPosition(own)}; proof: ${proof.kind} (${proof.members.join(', ')}).`,
    [
      commit,
      {
        kind: 'promote',
        epoch: next.epoch,
        timeline: next.timeline,
        rule,
        notAfter: promotionDeadline(obs.now, ctx.config),
      },
    ],
    { election: null, sealedSince: null, promotingSince: { epoch: next.epoch, since: obs.now } },
  );
}

/** What the next record says of how restless the cluster is. */
function carriedOn(ctx: ClusterContext, proof: Proof): Pick<LeadershipRecord, 'unrest' | 'lostBySilence'> {
  const { unrest, leader, incarnation } = ctx.record.value;
  const isSilent = proof.kind === 'seals' && ctx.obs.peers.get(leader)?.kind === 'silent' && dueHandover(ctx) === null;
  return { ...(unrest === undefined ? {} : { unrest }), ...(isSilent ? { lostBySilence: incarnation } : {}) };
}

function causeOf(ctx: ClusterContext, proof: Proof): LeadershipCause {
  const request = dueHandover(ctx);
  if (proof.kind === 'override') return 'operator-override';
  if (request?.kind === 'switchover' && proof.kind === 'leader') return 'switchover';
  if (request?.kind === 'failover') return 'operator-failover';
  const { leader } = ctx.record.value;
  const planned = proof.kind === 'leader' && currentSeals(ctx).get(leader)?.value.planned === 'yes';
  if (planned && leader !== ctx.obs.self) return 'planned-stop';
  return proof.kind === 'leader' ? 'leader-restarted' : proof.kind === 'lease' ? 'lease-expired' : 'leader-lost';
}
