import { type GtidInterval, type GtidPosition, type GtidSet, normalizeIntervals } from '@understudy/core';
import type { Branch } from './branch.ts';

/** Positions of the last looks at each branch: they are asked for far more often than logs grow. */
const known = new WeakMap<Branch, { readonly at: number; readonly position: GtidPosition }[]>();
/** How many ends of one branch are remembered: about one for each server. */
const KNOWN_MAX = 6;

/**
 * The position of a server whose log ends at (`branch`, `at`), as a set; `branch` is the one that `at` lies on. Each byte of the log is
 * given a number, so that the number of transactions is the log position: the first of a branch is the marker of its line.
 */
export function toGtidPosition(branch: Branch, at: number): GtidPosition {
  let looks = known.get(branch);
  if (looks === undefined) {
    looks = [];
    known.set(branch, looks);
  }
  for (const look of looks) if (look.at === at) return look.position;
  const position = positionAt(baseOf(branch), at);
  if (looks.length === KNOWN_MAX) looks.shift();
  looks.push({ at, position });
  return position;
}

/** What a branch holds before its own first byte, which never changes, and where its own bytes are added. */
interface Base {
  readonly set: GtidSet;
  readonly timelines: readonly number[];
  /** The source of the numbers that are given on this branch, and those that it has from earlier ones. */
  readonly source: string;
  readonly earlier: readonly GtidInterval[];
  /** The first number, and what is taken from a log position to get the last one. */
  readonly first: number;
  readonly before: number;
}

const bases = new WeakMap<Branch, Base>();

function baseOf(branch: Branch): Base {
  let base = bases.get(branch);
  if (base === undefined) {
    base = branch.flavour === 'mysql' ? bySource(branch) : byLine(branch);
    bases.set(branch, base);
  }
  return base;
}

function positionAt({ set: base, timelines, source, earlier, first, before }: Base, at: number): GtidPosition {
  const set = new Map(base);
  const own = interval(first, at - before);
  set.set(source, earlier.length === 0 && own.first <= own.last ? [own] : normalizeIntervals([...earlier, own]));
  return { kind: 'gtid', set, timelines, bytesPerTransaction: 1 };
}

/** What the parent of a branch holds where that begins, and the lines up to the branch itself. */
function inherited({ parent, forkLsn, timeline }: Branch): Pick<Base, 'set' | 'timelines'> {
  if (parent === null) return { set: new Map(), timelines: [1] };
  const { set, timelines } = positionAt(baseOf(parent), forkLsn);
  return { set, timelines: [...timelines, timeline] };
}

const interval = (first: number, last: number): GtidInterval => ({ first: BigInt(first), last: BigInt(last) });

/** MySQL: numbers by the server that wrote; the markers are numbers of the cluster. */
function bySource(branch: Branch): Base {
  const { parent, forkLsn, timeline, systemId, writer: source } = branch;
  const { set: before, timelines } = inherited(branch);
  const set = new Map(before);
  if (parent !== null) {
    const markers = [...(before.get(systemId) ?? []), interval(timeline, timeline)];
    set.set(systemId, normalizeIntervals(markers));
  }
  return {
    set,
    timelines,
    source,
    earlier: before.get(source) ?? [],
    first: parent === null ? 1 : forkLsn + 2,
    before: 0,
  };
}

/** MariaDB: numbers by line, whoever wrote; two servers that wrote on one line could not be told apart. */
function byLine(branch: Branch): Base {
  const { parent, forkLsn, timeline } = branch;
  const source = parent === null ? '0' : String(timeline);
  return { ...inherited(branch), source, earlier: [], first: 1, before: parent === null ? 0 : forkLsn };
}
