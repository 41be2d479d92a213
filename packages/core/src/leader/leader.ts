import {
  type Action,
  act,
  type ClusterContext,
  firstApplicable,
  type Handler,
  missingSession,
  wait,
} from '../context.ts';
import { manageAckers } from '../durability/ack-rule-change.ts';
import { formatPosition } from '../position/position.ts';
import { leaderRequests, outcomeOfElection } from '../requests/requests.ts';
import type { Commit } from '../values/command.ts';
import type { HistoryEntry } from '../values/record.ts';
import { commitRecord } from './commit-record.ts';
import { noteUnrest, yieldUnheard } from './unrest.ts';

/** What the recorded leader does while its server is an open or opening primary. */
export function lead(ctx: ClusterContext): Action | null {
  if (ctx.obs.engine.kind !== 'primary' || ctx.record.value.leader !== ctx.obs.self) return null;
  if (ctx.obs.store.kind !== 'current') {
    return wait('leading-without-store', 'The store does not answer; writes go on as long as the ackers confirm them.');
  }
  return firstApplicable(ctx, LEADER_HANDLERS) ?? wait('leading', `Leading epoch ${ctx.record.value.epoch}.`);
}

const LEADER_HANDLERS: readonly Handler<ClusterContext>[] = [
  adopt,
  open,
  leaderRequests,
  yieldUnheard,
  manageAckers,
  noteUnrest,
];

/** A new agent process takes over a server that its predecessor had opened. The swap of incarnations fails if anybody was elected since. */
function adopt(ctx: ClusterContext): Action | null {
  const { obs, record } = ctx;
  if (record.value.incarnation === obs.incarnation) return null;
  if (obs.authority.leaseUntil === null) return missingSession();
  return act('adopted', 'This agent is new; the healthy primary goes on under it.', [
    commitRecord(ctx, 'adopt running primary', { incarnation: obs.incarnation }),
    { kind: 'provision' },
  ]);
}

/** Records that the server has opened, and on which history. */
function open(ctx: ClusterContext): Action | null {
  const { obs, record } = ctx;
  if (record.value.phase === 'open' || obs.engine.kind !== 'primary') return null;
  const history: HistoryEntry = {
    epoch: record.value.epoch,
    leader: obs.self,
    timeline: record.value.timeline,
    cause: record.value.cause,
    chosenAt: record.value.chosenAt,
    wallMs: obs.wallMs,
  };
  const base = commitRecord(ctx, 'open', { phase: 'open', opened: obs.engine.position });
  const closing = outcomeOfElection(ctx);
  const commit: Commit = {
    ...base,
    expect: [...base.expect, ...closing.expect],
    put: [...base.put, { key: `history/${record.value.epoch}`, value: history }, ...closing.put],
  };
  return act('opened', `Open for writes at ${formatPosition(obs.engine.position)}.`, [commit, { kind: 'provision' }]);
}
