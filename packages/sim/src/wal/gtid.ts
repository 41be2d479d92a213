import { type GtidInterval, type GtidPosition, normalizeIntervals } from '@understudy/core';
import type { Branch } from './branch.ts';

/** The position of the last look at each branch: positions are asked for far more often than logs grow. */
const known = new WeakMap<Branch, { readonly at: number; readonly position: GtidPosition }>();

/**
 * The position of a server whose log ends at (`branch`, `at`), as a set; `branch` is the one that `at` lies on. Each byte of the log is
 * given a number, so that the number of transactions is the log position: the first of a branch is the marker of its line.
 */
export function toGtidPosition(branch: Branch, at: number): GtidPosition {
  const last = known.get(branch);
  if (last?.at === at) return last.position;
  const { set, lineages } = branch.flavour === 'mysql' ? bySource(branch, at) : byLine(branch, at);
  const position: GtidPosition = { kind: 'gtid', set, lineages: [1, ...lineages], bytesPerTransaction: 1 };
  known.set(branch, { at, position });
  return position;
}

interface History {
  readonly set: ReadonlyMap<string, readonly GtidInterval[]>;
  readonly lineages: readonly number[];
}

/** Oldest first, with the end of the stretch that belongs to the history. */
function stretches(branch: Branch, at: number): readonly { readonly on: Branch; readonly upTo: number }[] {
  const found: { readonly on: Branch; readonly upTo: number }[] = [];
  let upTo = at;
  for (let on: Branch | null = branch; on !== null; on = on.parent) {
    found.unshift({ on, upTo });
    upTo = Math.min(upTo, on.forkLsn);
  }
  return found;
}

const interval = (first: number, last: number): GtidInterval => ({ first: BigInt(first), last: BigInt(last) });

/** MySQL: numbers by the server that wrote; the markers are numbers of the cluster. */
function bySource(branch: Branch, at: number): History {
  const intervals = new Map<string, GtidInterval[]>();
  const add = (source: string, each: GtidInterval): void => {
    const list = intervals.get(source);
    if (list === undefined) intervals.set(source, [each]);
    else list.push(each);
  };
  const lineages: number[] = [];
  for (const { on, upTo } of stretches(branch, at)) {
    if (on.parent !== null) {
      add(on.systemId, interval(on.lineage, on.lineage));
      lineages.push(on.lineage);
    }
    add(on.writer, interval(on.parent === null ? 1 : on.forkLsn + 2, upTo));
  }
  const set = new Map([...intervals].map(([source, list]) => [source, normalizeIntervals(list)]));
  return { set, lineages };
}

/** MariaDB: numbers by line, whoever wrote; two servers that wrote on one line could not be told apart. */
function byLine(branch: Branch, at: number): History {
  const set = new Map<string, readonly GtidInterval[]>();
  const lineages: number[] = [];
  for (const { on, upTo } of stretches(branch, at)) {
    const before = on.parent === null ? 0 : on.forkLsn;
    set.set(on.parent === null ? '0' : String(on.lineage), [interval(1, upTo - before)]);
    if (on.parent !== null) lineages.push(on.lineage);
  }
  return { set, lineages };
}
