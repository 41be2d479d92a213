import {
  type Epoch,
  formatLsn,
  type GtidPosition,
  gtidContains,
  gtidSubtract,
  gtidUnion,
  nextEpoch,
  type Position,
  upToTimeline,
  type WalPosition,
} from '@understudy/core';
import { RoutingError } from '../errors.ts';
import type { RoutingTopology } from '../topology/topology.ts';
import { foreign, joinEntries, type Proof, type Token, type TokenEntry, type TokenPosition } from './token.ts';

/**
 * What a token means in the present history.
 *
 * - `empty`: it asks for nothing.
 * - `valid`: a node that shows everything up to `position` satisfies it. `token` says the same in the terms of this epoch, in few entries.
 *   `canBeLost`: not all of it was acknowledged, so a failover that this router has not heard of may have taken it.
 * - `unknown`: nothing was lost that is known of, but the way of the present leader is not known yet: only the leader itself will do.
 * - `ahead`: it was made in an epoch (`epoch`, or a later one) that this router has not heard of. It must hear of it before it routes
 *   anything by this token.
 * - `rejected`: lost, expired or foreign. Never a wait, never a stale answer.
 */
export type TokenStanding =
  | { readonly kind: 'empty' }
  | { readonly kind: 'valid'; readonly position: Position; readonly canBeLost: boolean; readonly token: Token }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'ahead'; readonly epoch: Epoch }
  | { readonly kind: 'rejected'; readonly error: RoutingError };

type Placed =
  | { readonly kind: 'at'; readonly entry: TokenEntry; readonly position: Position }
  | { readonly kind: 'unknown' | 'ahead' }
  | { readonly kind: 'rejected'; readonly error: RoutingError };

/**
 * Compares histories, never numbers alone (C35): each entry is looked up on the way that the present leader's history came.
 */
export function resolveToken(token: Token, topology: RoutingTopology): TokenStanding {
  if (token.cluster !== topology.cluster) {
    return { kind: 'rejected', error: foreign(topology.cluster, token.cluster) };
  }
  if (token.entries.length === 0) return { kind: 'empty' };
  const newest = token.entries.reduce((max, entry) => (entry.epoch > max ? entry.epoch : max), topology.epoch);
  if (newest > topology.epoch) return { kind: 'ahead', epoch: newest };
  const placed = token.entries.map((entry) => place(entry, topology));
  if (placed.some((each) => each.kind === 'ahead')) return { kind: 'ahead', epoch: nextEpoch(topology.epoch) };
  const bad = placed.find((each) => each.kind === 'rejected');
  if (bad !== undefined) return bad;
  const known = placed.filter((each) => each.kind === 'at');
  const position = highest(known.map((each) => each.position));
  if (known.length < placed.length || position === null) return { kind: 'unknown' };
  const entries = joinEntries(known.map((each) => inEpoch(each, topology.epoch)));
  const canBeLost = entries.some(({ proof }) => proof !== 'acked');
  return { kind: 'valid', position, canBeLost, token: { ...token, entries: withoutRepeats(entries) } };
}

function place(entry: TokenEntry, topology: RoutingTopology): Placed {
  const { opened } = topology;
  if (opened === null) return { kind: 'unknown' };
  const { position } = entry;
  if (position.kind === 'wal' && opened.kind === 'wal') return placeWal(entry, position, opened, topology);
  if (position.kind === 'gtid' && opened.kind === 'gtid') return placeGtid(entry, position.set, opened, topology);
  return { kind: 'rejected', error: foreign(topology.cluster, topology.cluster) };
}

/**
 * On the timeline that this epoch writes, everything counts. On an older one, what lies beyond the point where the history left it is
 * gone. But an LSN that was read after a commit may lie beyond the commit's own record, as others write too: an acknowledged commit
 * cannot be gone (`docs/protocol.md`, the promise), so the point of leaving stands for it.
 */
function placeWal(
  entry: TokenEntry,
  position: Extract<TokenPosition, { kind: 'wal' }>,
  opened: WalPosition,
  topology: RoutingTopology,
): Placed {
  const isOfNow = entry.epoch === topology.epoch;
  if (isOfNow && position.timeline === opened.timeline)
    return { kind: 'at', entry, position: { ...opened, lsn: position.lsn } };
  const stretch = upToTimeline(opened, position.timeline);
  if (stretch === null || stretch.kind !== 'wal') {
    const firstTold = opened.history[0]?.timeline ?? opened.timeline;
    if (opened.before !== undefined && position.timeline < firstTold) return { kind: 'rejected', error: tooOld(entry) };
    // Somebody has seen a newer timeline than that of the leader known here: this router is behind, its leader perhaps an old one.
    const isBehind = isOfNow && position.timeline > opened.timeline;
    return isBehind ? { kind: 'ahead' } : { kind: 'rejected', error: lost(entry, topology) };
  }
  if (position.lsn <= stretch.lsn) return { kind: 'at', entry, position: { ...stretch, lsn: position.lsn } };
  return survives(entry, topology)
    ? { kind: 'at', entry, position: stretch }
    : { kind: 'rejected', error: lost(entry, topology) };
}

/** A set is exact: what the leader did not hold when it opened, and was not written since, is gone. */
function placeGtid(
  entry: TokenEntry,
  set: GtidPosition['set'],
  opened: GtidPosition,
  topology: RoutingTopology,
): Placed {
  const isGone = entry.epoch < topology.epoch && !gtidContains(opened.set, set);
  return isGone
    ? { kind: 'rejected', error: lost(entry, topology) }
    : { kind: 'at', entry, position: { ...opened, set } };
}

/** Whether an acknowledgement still proves something: not across an epoch that an operator forced. */
function survives(entry: TokenEntry, topology: RoutingTopology): boolean {
  return entry.proof === 'acked' && (topology.overrode === null || topology.overrode <= entry.epoch);
}

/** All of them lie on one history: logs have an order there, sets are joined. Null when there is none. */
function highest(positions: readonly Position[]): Position | null {
  let top = positions[0] ?? null;
  for (const each of positions.slice(1)) {
    if (top === null) continue;
    if (top.kind === 'gtid' && each.kind === 'gtid') top = { ...each, set: gtidUnion(top.set, each.set) };
    else if (top.kind === 'wal' && each.kind === 'wal' && isLater(each, top)) top = each;
  }
  return top;
}

const isLater = (a: WalPosition, b: WalPosition): boolean =>
  a.timeline === b.timeline ? a.lsn > b.lsn : a.timeline > b.timeline;

function inEpoch({ entry, position }: Extract<Placed, { kind: 'at' }>, now: Epoch): TokenEntry {
  const at: TokenPosition =
    position.kind === 'wal'
      ? { kind: 'wal', timeline: position.timeline, lsn: position.lsn }
      : { kind: 'gtid', set: position.set };
  return { epoch: now, proof: entry.proof, position: at };
}

/** Of several timelines of one history and one proof, the last one stands for all. */
function withoutRepeats(entries: readonly TokenEntry[]): readonly TokenEntry[] {
  const last = new Map<Proof, TokenEntry>();
  for (const entry of entries) last.set(entry.proof, entry);
  return [...last.values()];
}

/**
 * The token without what every node already shows: nobody can lose that, and no node has to be asked for it. A node of which nothing
 * is known keeps everything.
 */
export function pruneToken(
  token: Token,
  topology: RoutingTopology,
  shows: (applied: Position, at: Position) => boolean,
): Token {
  const entries = token.entries.filter((entry) => {
    const placed = entry.epoch > topology.epoch ? null : place(entry, topology);
    if (placed?.kind !== 'at' || topology.nodes.length === 0) return true;
    return !topology.nodes.every(({ applied }) => applied !== null && shows(applied, placed.position));
  });
  return entries.length === token.entries.length ? token : { ...token, entries };
}

function lost(entry: TokenEntry, topology: RoutingTopology): RoutingError {
  const what = entry.proof === 'seen' ? 'What this session had read' : 'The write that the token stands for';
  const missing = describe(entry, topology);
  return new RoutingError(
    'TOKEN_LOST',
    `${what} (${missing}, epoch ${entry.epoch}) is not in the history of epoch ${topology.epoch}: a failover lost it.`,
    {
      retry: 'unsafe',
      sqlState: '40001',
      nextStep: 'Read again without the token, look what is there, and write again what is missing.',
    },
  );
}

function describe({ position }: TokenEntry, { opened }: RoutingTopology): string {
  if (position.kind === 'wal') return `timeline ${position.timeline}, LSN ${formatLsn(position.lsn)}`;
  const held = opened?.kind === 'gtid' ? opened.set : new Map();
  const [first] = gtidSubtract(position.set, held);
  return first === undefined ? 'a transaction' : `transaction ${first[0]}:${first[1][0]?.first ?? ''}`;
}

function tooOld(entry: TokenEntry): RoutingError {
  return new RoutingError(
    'TOKEN_EXPIRED',
    `The token is of epoch ${entry.epoch}, older than the history that is known.`,
    {
      retry: 'unsafe',
      sqlState: '22023',
      nextStep: 'Leave it out, or read at level strong.',
    },
  );
}
