import { type Action, act, type ClusterContext, isPaused, ownSeal } from '../context.ts';
import { timelineOf } from '../position/position.ts';
import type { UnresponsiveState } from '../values/engine-state.ts';
import type { Reason } from '../values/reason.ts';
import { authorityOf } from './authority.ts';

/** A server that hangs for this long is taken out of its misery: its agent fences it, and the others see it. */
const HUNG_PRIMARY_MS = 3000;

/** A primary that must not be one, or whose time has run out. */
export function fenceAlways(ctx: ClusterContext): Action | null {
  const superseded = fence(ctx);
  if (superseded !== null) return superseded;
  if (ctx.obs.engine.kind !== 'primary') return null;
  const authority = authorityOf(ctx);
  if (authority.kind === 'primary' && authority.until > ctx.obs.now) return null;
  if (authority.kind === 'none' && isNewHere(ctx)) return null;
  return act('fenced-authority', 'Neither the store nor enough ackers were heard in time: this primary stops.', [
    { kind: 'stop', mode: 'fence' },
  ]);
}

/** A new agent that finds a primary holds nothing yet: its predecessor's deadline, which the guard keeps, bounds the server until it does. */
function isNewHere(ctx: ClusterContext): boolean {
  return ctx.record.value.incarnation !== ctx.obs.incarnation && ctx.obs.authority.leaseUntil === null;
}

/**
 * A primary that must not be one is stopped at once, whatever it is doing: nothing that it has not acknowledged is owed to anybody.
 * Stale knowledge is enough here: epochs only grow.
 */
function fence(ctx: ClusterContext): Action | null {
  const { obs, record } = ctx;
  const { engine } = obs;
  if (engine.kind !== 'primary' && !(engine.kind === 'unresponsive' && mayBePrimary(ctx, engine))) return null;
  const why = fenceReason(ctx);
  return why === null
    ? null
    : act(why.code, `${why.text} Epoch ${record.value.epoch} belongs to ${record.value.leader}.`, [
        { kind: 'stop', mode: 'fence' },
      ]);
}

/** A server that refuses its agent cannot be asked what it is: where another node leads, it may be what it was before. */
function mayBePrimary({ obs, record }: ClusterContext, { was, refusal }: UnresponsiveState): boolean {
  if (was === 'primary') return true;
  return was === 'unknown' && refusal !== undefined && record.value.leader !== obs.self;
}

function fenceReason(ctx: ClusterContext): Reason | null {
  const { obs, record } = ctx;
  if (obs.engine.kind === 'primary' && obs.engine.opened === 'outside')
    return {
      code: 'fenced-opened-outside',
      text: 'Somebody else than the agent has opened this server for writes, which nobody is proven to acknowledge.',
    };
  if (record.value.leader !== obs.self)
    return { code: 'fenced-superseded', text: 'Another node leads; this primary is fenced.' };
  if (ownSeal(ctx) !== null)
    return { code: 'fenced-sealed', text: 'This node has given up its epoch; its primary is fenced.' };
  if (obs.engine.kind === 'primary') {
    const timeline = timelineOf(obs.engine.position);
    if (timeline !== null && timeline !== record.value.timeline) {
      return {
        code: 'fenced-wrong-lineage',
        text: `This server writes timeline ${timeline}, the record says ${record.value.timeline}.`,
      };
    }
    return null;
  }
  // A server that is stopping in order answers nobody either; and in a paused cluster nothing is stopped.
  const spared = obs.job?.kind === 'stop' || isPaused(ctx);
  const isHung = obs.engine.kind === 'unresponsive' && obs.engine.refusal === undefined;
  if (isHung && obs.engine.sinceMs >= HUNG_PRIMARY_MS && !spared) {
    return { code: 'fenced-hung', text: `The server has not answered for ${obs.engine.sinceMs} ms.` };
  }
  return null;
}
