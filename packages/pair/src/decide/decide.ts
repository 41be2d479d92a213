import { gtidContains } from '@understudy/core';
import { type Difference, missingFrom } from './positions.ts';
import { type Both, otherSide, type SideName, sideNames } from './sides.ts';
import type { Memory, ServerView, SideView } from './state.ts';

/** A running server that says nothing for so long is ended, so that it is certain that it writes nothing any more. */
export const hungAfterMs = 10_000;

/** One thing to do now. Each may be done 0, 1 or 2 times: the next look decides anew. */
export type Step =
  | { readonly kind: 'start'; readonly side: SideName }
  | { readonly kind: 'kill'; readonly side: SideName; readonly reason: string }
  | { readonly kind: 'close'; readonly side: SideName }
  | { readonly kind: 'open'; readonly side: SideName }
  /** Lets it receive and apply from the other. */
  | { readonly kind: 'link'; readonly side: SideName }
  /** Lets it apply what it has received. */
  | { readonly kind: 'apply'; readonly side: SideName }
  /** `side` becomes the active one. It is opened by a later step. */
  | { readonly kind: 'take-over'; readonly side: SideName }
  | { readonly kind: 'set-apart'; readonly side: SideName; readonly extra: Difference };

export interface Decision {
  readonly steps: readonly Step[];
  /** What is waited for or left alone, and why: for people. */
  readonly notes: readonly string[];
}

/**
 * What to do now. One supervisor starts both servers and sees their ends itself, so a death is a fact here and not a suspicion: no quorum
 * is needed to open the other one, and none is pretended. What the dead one had not sent is missing there until it returns.
 *
 * @param views both servers, the passive one read first: what it holds and the active one lacks is then not merely newer.
 */
export function decide(views: Both<SideView>, memory: Memory): Decision {
  const hung = sideNames.filter((side) => isHung(views[side]));
  if (hung.length > 0) {
    const reason = `it has not answered for ${hungAfterMs / 1000} s`;
    return { steps: hung.map((side) => ({ kind: 'kill', side, reason })), notes: [] };
  }
  if (views[memory.active].process === 'gone') return afterDeath(views, memory);
  const decisions = [startMissing(views), fences(views, memory), links(views, memory)];
  return {
    steps: decisions.flatMap(({ steps }) => steps),
    notes: decisions.flatMap(({ notes }) => notes),
  };
}

const isHung = ({ process, life, silentMs }: SideView): boolean =>
  process === 'running' && life === 'serving' && silentMs >= hungAfterMs;

const nothing: Decision = { steps: [], notes: [] };

/** The active server has died: the other takes over if it can, after it has applied everything that it received. */
function afterDeath(views: Both<SideView>, memory: Memory): Decision {
  const dead = memory.active;
  const side = otherSide(dead);
  const obstacle = obstacleToTakeOver(views[side], memory, side);
  if (obstacle !== null) {
    // Its data is on this machine's disk, so the same server, started again, loses nothing.
    const notes = [`${dead} is started again in place: ${side} cannot take over (${obstacle}).`];
    return { steps: [{ kind: 'start', side: dead }, ...startMissing(views, dead).steps], notes };
  }
  const { server } = views[side];
  if (server?.link?.applier === 'stopped') return { steps: [{ kind: 'apply', side }], notes: [] };
  if (server === null || !gtidContains(server.executed, server.received)) {
    return { steps: [], notes: [`${side} applies what it has received of ${dead} before it is opened.`] };
  }
  return { steps: [{ kind: 'take-over', side }], notes: [] };
}

function obstacleToTakeOver(
  { process, server }: SideView,
  { apart, uncompared }: Memory,
  side: SideName,
): string | null {
  if (process === 'gone') return 'it is not running either';
  if (server === null) return 'it does not answer';
  if (apart?.side === side) return 'it is set apart';
  if (server.link === null) return 'it has never received anything';
  if (uncompared === side) return 'it may hold what the active one went on without';
  const { applierError } = server.link;
  return applierError === null ? null : `its replication is stopped by error ${applierError.number}`;
}

function startMissing(views: Both<SideView>, except: SideName | null = null): Decision {
  const gone = sideNames.filter((side) => side !== except && views[side].process === 'gone');
  return { steps: gone.map((side) => ({ kind: 'start', side })), notes: [] };
}

/** Whether a server is meant to take writes. */
export function mayWrite(side: SideName, { active, writers, apart }: Memory): boolean {
  return side === active || (writers === 'both' && apart?.side !== side);
}

/** Closing comes first; a server is opened only when the other is where it should be. */
function fences(views: Both<SideView>, memory: Memory): Decision {
  const wrong = sideNames.flatMap((side) => {
    const fence = views[side].server?.fence;
    const wanted = mayWrite(side, memory) ? 'open' : 'closed';
    return fence === undefined || fence === wanted ? [] : [{ side, wanted }];
  });
  const closing = wrong.filter(({ wanted }) => wanted === 'closed');
  if (closing.length > 0) return { steps: closing.map(({ side }) => ({ kind: 'close', side })), notes: [] };
  const steps: Step[] = [];
  const notes: string[] = [];
  for (const { side } of wrong) {
    const other = views[otherSide(side)];
    // A silent server that should be closed may be open: two that write is what this mode excludes.
    const isSafe = memory.writers === 'both' || other.process === 'gone' || other.server !== null;
    if (isSafe || other.life === 'starting') steps.push({ kind: 'open', side });
    else notes.push(`${side} is not opened while ${otherSide(side)} does not answer: it may still take writes.`);
  }
  return { steps, notes };
}

/** Both receive from each other, unless one holds what the other went on without. */
function links(views: Both<SideView>, memory: Memory): Decision {
  const passive = otherSide(memory.active);
  const [activeServer, passiveServer] = [views[memory.active].server, views[passive].server];
  if (activeServer === null || passiveServer === null) return nothing;
  if (memory.apart !== null) {
    const { side, count } = memory.apart;
    const notes = [`${side} is set apart with ${count} transactions of its own; see: understudy pair show`];
    return { steps: [], notes };
  }
  if (memory.writers === 'one' && !receives(activeServer)) {
    const extra = missingFrom(passiveServer.received, activeServer.received);
    if (extra.transactions > 0n) return { steps: [{ kind: 'set-apart', side: passive, extra }], notes: [] };
  }
  const steps = sideNames.filter((side) => needsLink(views[side].server)).map((side): Step => ({ kind: 'link', side }));
  return { steps, notes: [] };
}

const receives = ({ link }: ServerView): boolean => link !== null && link.receiver !== 'stopped';

/** A thread that an error stopped is left as it is: somebody has to see why. */
function needsLink(server: ServerView | null): boolean {
  if (server === null) return false;
  const { link } = server;
  if (link === null) return true;
  if (link.applierError !== null) return false;
  return link.receiver === 'stopped' || link.applier === 'stopped';
}
