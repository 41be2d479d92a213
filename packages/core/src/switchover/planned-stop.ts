import { type Action, act, type ClusterContext, isPaused, ownSeal, wait } from '../context.ts';
import { publishSeal } from '../failover/seal.ts';
import { belongs } from '../leader/leader-not-open.ts';
import { formatPosition } from '../position/position.ts';
import { preflight } from '../requests/requests.ts';
import { elapsedMs } from '../values/brand.ts';
import type { Memory } from '../values/decision.ts';
import type { StoppedState } from '../values/engine-state.ts';
import type { Observation } from '../values/observation.ts';

/** How long the checkpoint before the stop may take; after that the stop itself writes what is left. */
const CHECKPOINT_MS = 5000;
/** How long a stopped leader waits for a store that does not answer, to publish its end there. The others need about as long without it. */
const STORE_PATIENCE_MS = 1500;

/**
 * What a member does whose agent was told to end: a leader hands over first. It stops so that the replicas get everything, publishes
 * its end, which lets any of them lead that holds it, and is done. Nobody is waited for after that, and whatever cannot be done in time
 * is left to the others, who then find the leader gone. A member that does not lead takes nothing on any more.
 */
export function leave(ctx: ClusterContext): Action | null {
  const { obs, record } = ctx;
  if (obs.leaving !== 'yes') return null;
  if (record.value.leader !== obs.self) return left('This member does not lead: there is nothing to hand over.');
  if (isPaused(ctx)) return left('The cluster is paused: nobody would take over.');
  if (obs.job?.kind === 'stop') return wait('leaving', 'The server is shutting down in order.');
  switch (obs.engine.kind) {
    case 'primary':
      return stopServing(ctx);
    case 'stopped':
      return publishEnd(ctx, obs.engine);
    default:
      return left(`The server is ${obs.engine.kind}: there is nothing to hand over.`);
  }
}

/** An agent that leaves where no leadership is known, or none that concerns its data. */
export function nothingToLeave(obs: Observation): Action | null {
  return obs.leaving === 'yes' ? left('There is nothing to hand over.') : null;
}

const left = (text: string): Action => wait('left', `This agent was told to end. ${text}`);

function stopServing(ctx: ClusterContext): Action {
  const { obs, memory } = ctx;
  const step = memory.leaving?.step ?? null;
  if (step === 'stop') {
    // What keeps it open has acknowledged nothing; the others need not wait for it.
    return act('leaving', 'The orderly stop did not end in time; stopping at once.', [{ kind: 'stop', mode: 'fence' }]);
  }
  const objection = obs.store.kind === 'current' ? preflight(ctx, null) : 'The store does not answer.';
  if (objection !== null) {
    const text = `Stopping in order without a successor: ${objection}`;
    return act('leaving', text, [{ kind: 'stop', mode: 'orderly' }], note(ctx, 'stop'));
  }
  if (step === null) {
    const text = 'Told to end: checkpoint first, so that the stop is short.';
    return act('leaving', text, [{ kind: 'checkpoint' }], note(ctx, 'checkpoint'));
  }
  if (obs.job !== null && leavingForMs(ctx) < CHECKPOINT_MS)
    return wait('leaving', `Before the stop: ${obs.job.kind}.`);
  const text = 'Told to end: stopping in order; the others choose the next leader.';
  return act('leaving', text, [{ kind: 'stop', mode: 'handover' }], note(ctx, 'stop'));
}

function publishEnd(ctx: ClusterContext, engine: StoppedState): Action {
  const { obs, memory } = ctx;
  if (ownSeal(ctx) !== null) return left('Its end is published.');
  const end = engine.shutdown === 'clean' ? engine.position : null;
  if (end === null || !belongs(ctx, end)) return left('Where its server ended is not known; the others find out.');
  if (obs.store.kind === 'current') {
    const text = `Told to end and stopped in order at ${formatPosition(end)}; the next leader must hold this.`;
    return publishSeal(ctx, end, 'handed-over', text, { planned: 'yes' });
  }
  if (memory.leaving?.step === 'stopped' && leavingForMs(ctx) >= STORE_PATIENCE_MS) {
    return left('The store does not answer; the others find out.');
  }
  const since = memory.leaving?.step === 'stopped' ? {} : note(ctx, 'stopped', 'anew');
  return wait('leaving', 'The server has stopped; the store does not answer yet.', since);
}

function leavingForMs({ obs, memory }: ClusterContext): number {
  return memory.leaving === null ? 0 : elapsedMs(memory.leaving.since, obs.now);
}

function note(
  { obs, memory }: ClusterContext,
  step: NonNullable<Memory['leaving']>['step'],
  from: 'first' | 'anew' = 'first',
): Pick<Memory, 'leaving'> {
  const since = from === 'anew' ? obs.now : (memory.leaving?.since ?? obs.now);
  return { leaving: { since, step } };
}
