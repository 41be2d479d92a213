import { type Action, act, type ClusterContext, freshPeer, isPaused, tagsOf } from '../context.ts';
import { enoughThere } from '../durability/ack-rule-change.ts';
import { unfitness } from '../durability/eligible-ackers.ts';
import { isSealQuorum } from '../failover/suspicion.ts';
import { contains } from '../position/position.ts';
import { elapsedMs, type Incarnation, type MemberId } from '../values/brand.ts';
import type { Memory } from '../values/decision.ts';
import { commitRecord } from './commit-record.ts';

/** How long nobody may replicate from a leader before it hands over, the first time. */
const UNHEARD_MS = 5000;
/** Each further time in restless hours it takes twice as long, up to this. */
const MOST_UNHEARD_MS = 320_000;
/** A leader that was lost by silence and is heard again so soon after its successor opened was not lost. */
const FALSE_ALARM_MS = 3000;
/** One leadership that stands for so long, with enough ackers, takes one back. */
const CALM_MS = 300_000;

/** A leader that notes what its record should say of how restless the cluster is. */
export function noteUnrest(ctx: ClusterContext): Action | null {
  const { obs, memory, record } = ctx;
  const { unrest = 0, lostBySilence, epoch, phase } = record.value;
  if (phase !== 'open') return null;
  const ledMs = memory.ledSince?.epoch === epoch ? elapsedMs(memory.ledSince.since, obs.now) : 0;
  const back = ledMs < FALSE_ALARM_MS ? heardAgain(ctx, lostBySilence) : null;
  if (back !== null) {
    return act('false-alarm', `${back} was silent, and is heard again: it was not lost.`, [
      commitRecord(ctx, 'note false alarm', { unrest: unrest + 1, lostBySilence: undefined }),
    ]);
  }
  const calmMs = memory.calmSince === null ? 0 : elapsedMs(memory.calmSince, obs.now);
  if (unrest === 0 || calmMs < CALM_MS) return null;
  return act(
    'calm',
    'This leadership has stood for a while: leaders are suspected a little sooner again.',
    [commitRecord(ctx, 'note calm', { unrest: unrest - 1 })],
    { calmSince: null },
  );
}

/** The member whose process of that name is heard now. One that was started since was really gone. */
function heardAgain(ctx: ClusterContext, lost: Incarnation | undefined): MemberId | null {
  if (lost === undefined) return null;
  return [...ctx.obs.peers.keys()].find((member) => freshPeer(ctx, member)?.incarnation === lost) ?? null;
}

/**
 * A leader from which nobody can replicate (its port is blocked, its senders are used up, its certificate has expired, its disk is full) gives up
 * while it can, if the others could do better: they are heard, have the store, and are a quorum that can acknowledge without this node.
 * Nothing is acknowledged in that state, so nothing is owed. The next leader may have the same fault, so it is slower each time.
 */
export function yieldUnheard(ctx: ClusterContext): Action | null {
  const { obs, memory, config, record } = ctx;
  const { rule, nextRule, phase, chosenAt, epoch, unrest = 0, durability } = record.value;
  const { engine } = obs;
  if (engine.kind !== 'primary' || phase !== 'open' || durability !== 'sync' || config.durability !== 'sync')
    return null;
  if (rule.required === 0 || nextRule?.required === 0 || config.whenShort === 'degrade' || isPaused(ctx)) return null;
  if (memory.shortSince === null || enoughThere(ctx, engine)) return null;
  // Given up already, and not stopped: what was noted for that must not make it wait for longer.
  const isGivenUp = memory.yielded === epoch;
  const times = Math.max(0, unrest - (isGivenUp ? 1 : 0));
  const patienceMs = Math.min(MOST_UNHEARD_MS, UNHEARD_MS * 2 ** Math.min(times, 10));
  if (elapsedMs(memory.shortSince, obs.now) < patienceMs) return null;
  const able = [...ctx.content.members.keys()].filter((member) => couldDoBetter(ctx, member));
  const holds = able.some((member) => {
    const live = freshPeer(ctx, member)?.engine;
    return (
      live?.kind === 'replica' && live.position !== null && (chosenAt === null || contains(live.position, chosenAt))
    );
  });
  if (able.length <= rule.required || !isSealQuorum(ctx, new Set(able)) || !holds) return null;
  return act(
    'leader-unheard',
    `Nobody has replicated from this server for ${patienceMs} ms, and ${able.join(', ')} could go on without it: it stops, so that they elect.`,
    [
      ...(isGivenUp ? [] : [commitRecord(ctx, 'yield leadership', { unrest: unrest + 1 })]),
      { kind: 'stop', mode: 'fence' },
    ],
    { yielded: epoch },
  );
}

function couldDoBetter(ctx: ClusterContext, member: MemberId): boolean {
  if (member === ctx.obs.self || tagsOf(ctx, member).nofailover || unfitness(ctx, member) !== null) return false;
  const live = freshPeer(ctx, member);
  return live?.engine.kind === 'replica' && live.engine.position !== null && live.leaving !== 'yes';
}

/** Since when this node leads its epoch, and since when with enough who acknowledge. */
export function noteLeading(ctx: ClusterContext): Pick<Memory, 'ledSince' | 'calmSince'> {
  const { obs, memory, record } = ctx;
  const { epoch, leader, phase } = record.value;
  if (obs.engine.kind !== 'primary' || leader !== obs.self || phase !== 'open')
    return { ledSince: null, calmSince: null };
  const ledSince = memory.ledSince?.epoch === epoch ? memory.ledSince : { epoch, since: obs.now };
  return { ledSince, calmSince: enoughThere(ctx, obs.engine) ? (memory.calmSince ?? obs.now) : null };
}
