/** `POST /understudy/store/restore`: the cluster's decisions go back into a store that went back (`docs/store.md`). */

import { type LiveState, type MemberId, planRestore, type RestorePlan } from '@understudy/core';
import type { z } from 'zod';
import type { Agent } from '../agent/agent.ts';
import { AgentError } from '../errors.ts';
import { reachStore } from './changes.ts';
import { problem } from './errors.ts';
import type { restoreBodySchema } from './requests.ts';
import type { RestoreView } from './views.ts';

const STORE_DEADLINE_MS = 2_000;

type Ready = Extract<RestorePlan, { kind: 'ready' }>;

/**
 * Writes the newest known leadership back, as a new epoch. `from: 'primary'`: only the agent of the open primary does it, who knows that nobody
 * was elected after it. `from: 'members'`: the agent that knows most does it, from what all members have noted.
 * @throws HttpProblem; `RESTORE_LOSES` when something could be lost and nobody said that it may
 */
export async function restoreStore(agent: Agent, body: z.output<typeof restoreBodySchema>): Promise<RestoreView> {
  if (body.from === 'primary') refuseUnlessPrimary(agent);
  const plan = planned(agent, body.force);
  const view = { restored: false, summary: plan.summary, epoch: plan.record.epoch, losses: [...plan.losses] };
  if (body.plan === 'only') return view;
  if (body.epoch !== undefined && body.epoch !== plan.record.epoch) {
    throw problem(409, 'PLAN_CHANGED', `It would now be epoch ${plan.record.epoch}.`, 'Look at it again.');
  }
  if (plan.losses.length > 0 && !body.force) {
    throw problem(
      409,
      'RESTORE_LOSES',
      plan.losses.join(' '),
      'Start who is missing, or accept the loss with --force.',
    );
  }
  try {
    await reachStore(() => agent.link.restore(plan.record, plan.history, STORE_DEADLINE_MS));
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    throw problem(409, error.code, error.message, 'GET /understudy/status shows what the store is like.');
  }
  return { ...view, restored: true };
}

function refuseUnlessPrimary(agent: Agent): void {
  const record = agent.link.decoded?.content.record?.value;
  if (agent.latest?.observation.engine.kind === 'primary' && record?.leader === agent.self) return;
  const next = 'Ask the agent of the primary; without one: `understudy restore-store --from-members`.';
  throw problem(409, 'NOT_PRIMARY', `${agent.self} is not the open primary.`, next);
}

function planned(agent: Agent, force: boolean): Ready {
  const { link, latest, self } = agent;
  const { known } = link;
  if (known === null || latest === null) {
    throw problem(409, 'NOTHING_KNOWN', `${self} knows of no leadership.`, 'Ask another agent.');
  }
  if (link.view().kind === 'current') {
    throw problem(
      409,
      'STORE_NOT_REGRESSED',
      'The store has not gone back; there is nothing to restore.',
      'Nothing to do.',
    );
  }
  const plan = planRestore({
    self,
    known,
    engine: latest.observation.engine,
    members: link.decoded?.content.members.keys() ?? [],
    heard: heardBy(agent),
    storeEpoch: link.refusedEpoch,
    wallMs: Date.now(),
    force: force ? 'yes' : 'no',
  });
  if (plan.kind === 'ready') return plan;
  throw problem(409, 'ASK_ANOTHER', plan.text, `Ask the agent of ${plan.by}.`);
}

function heardBy({ peers }: Agent): ReadonlyMap<MemberId, LiveState> {
  const heard = new Map<MemberId, LiveState>();
  for (const [member, view] of peers.views()) if (view.kind === 'fresh') heard.set(member, view.live);
  return heard;
}
