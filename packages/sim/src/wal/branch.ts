import { lsn, type SystemId, type TimelineSwitch } from '@understudy/core';
import type { Flavour } from '../server/flavour.ts';

/**
 * The truth about a stretch of write-ahead log: who forked from whom and where. Every promotion makes a branch of its own, so a
 * branch has one writer and (branch, LSN) names its content; whether the *numbers* of the timelines are unique too is for the
 * protocol to achieve and for the checks to verify. LSNs are plain numbers here because they are compared millions of times.
 */
export interface Branch {
  readonly id: number;
  readonly systemId: SystemId;
  /** The number that this branch shows to the world: PostgreSQL's timeline. */
  readonly timeline: number;
  readonly parent: Branch | null;
  readonly forkLsn: number;
  /** The ancestors in the form of a timeline history file, built once. */
  readonly history: readonly TimelineSwitch[];
  readonly flavour: Flavour;
  /** The copy of the data that wrote it: what MySQL calls the server's UUID. */
  readonly writer: string;
}

/** The end of a log. */
export interface WalEnd {
  readonly branch: Branch;
  readonly lsn: number;
}

export function rootBranch(
  id: number,
  systemId: SystemId,
  startLsn: number,
  flavour: Flavour = 'postgres',
  writer = '',
): Branch {
  return { id, systemId, timeline: 1, parent: null, forkLsn: startLsn, history: [], flavour, writer };
}

/** The branch that a promotion starts at the end of `from`. */
export function forkBranch(id: number, from: WalEnd, timeline: number, writer = ''): Branch {
  const parent = branchAt(from.branch, from.lsn);
  const switchPoint = { timeline: parent.timeline, switchLsn: lsn(BigInt(from.lsn)) };
  return {
    id,
    systemId: parent.systemId,
    timeline,
    parent,
    forkLsn: from.lsn,
    history: [...parent.history, switchPoint],
    flavour: parent.flavour,
    writer,
  };
}

/** The branch on which the record that ends at `at` was written, in the history of `branch`. */
export function branchAt(branch: Branch, at: number): Branch {
  let found = branch;
  while (found.parent !== null && at <= found.forkLsn) found = found.parent;
  return found;
}

/** Whether a log that ends at `outer` has everything up to `inner`. */
export function holds(outer: Branch, outerLsn: number, inner: Branch, innerLsn: number): boolean {
  if (outer === inner) return innerLsn <= outerLsn;
  const target = branchAt(inner, innerLsn);
  let branch: Branch | null = outer;
  let end = outerLsn;
  while (branch !== null) {
    if (branch === target) return innerLsn <= end;
    end = Math.min(end, branch.forkLsn);
    branch = branch.parent;
  }
  return false;
}

/** The last point that both logs share; null for servers of different origin. */
export function commonEnd(a: WalEnd, b: WalEnd): WalEnd | null {
  const ends = new Map<Branch, number>();
  let end = a.lsn;
  for (let branch: Branch | null = a.branch; branch !== null; branch = branch.parent) {
    ends.set(branch, end);
    end = Math.min(end, branch.forkLsn);
  }
  end = b.lsn;
  for (let branch: Branch | null = b.branch; branch !== null; branch = branch.parent) {
    const other = ends.get(branch);
    if (other !== undefined) return { branch, lsn: Math.min(other, end) };
    end = Math.min(end, branch.forkLsn);
  }
  return null;
}
