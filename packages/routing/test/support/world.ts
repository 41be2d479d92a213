import {
  type Epoch,
  epoch,
  lsn,
  type MemberId,
  memberId,
  ms,
  type Position,
  type TimelineSwitch,
  type WalPosition,
} from '@understudy/core';
import {
  type Choice,
  chooseNode,
  DEFAULT_CHOICE_POLICY,
  EMPTY_CLOCK,
  emptyToken,
  mergeTokens,
  newToken,
  type Proof,
  parseLevel,
  type RoutingTopology,
  requirementOf,
  resolveToken,
  type Token,
  WHOLE_CLUSTER,
} from '../../src/index.ts';
import { CLUSTER, nodeOf, topologyOf } from './topology.ts';

interface Write {
  readonly id: number;
  /** Where its commit record ends. */
  readonly timeline: number;
  readonly end: bigint;
}

interface Server {
  readonly member: MemberId;
  received: WalPosition;
  applied: WalPosition;
  /** From whom it receives; null: from nobody. */
  source: Server | null;
  /** What it says of itself: an old primary still does, until it comes back as a replica. */
  isPrimary: boolean;
}

interface Session {
  token: Token;
  /** What it must see: its acknowledged writes and what it has seen, since it was last told of a loss. */
  mustSee: Set<number>;
}

const on = (timeline: number, end: bigint, history: readonly TimelineSwitch[]): WalPosition => ({
  kind: 'wal',
  timeline,
  lsn: lsn(end),
  history,
});

/** Whether a position holds what was written on a timeline up to `end`: told here by hand, so that the code under test is not its own judge. */
export function holds(position: WalPosition, timeline: number, end: bigint): boolean {
  if (position.timeline === timeline) return position.lsn >= end;
  const step = position.history.find((each) => each.timeline === timeline);
  return step !== undefined && step.switchLsn >= end;
}

/**
 * Three servers, a router that hears of them late, and sessions: enough of a cluster to lose writes, fork histories, rewind servers, and
 * leave an old primary running with a replica of its own.
 */
export class World {
  readonly durability: 'sync' | 'async';
  readonly servers: readonly Server[];
  readonly sessions: Session[] = [0, 1].map(() => ({ token: emptyToken(CLUSTER), mustSee: new Set<number>() }));
  readonly counts = { replica: 0, guarded: 0, primary: 0, held: 0, lost: 0 };
  readonly #writes: Write[] = [];
  #leader: Server;
  #epoch: Epoch = epoch(1);
  #timelines = 1;
  #opened: WalPosition = on(1, 1000n, []);
  #overrode: Epoch | null = null;
  /** What each of two routers knows. Sessions take their tokens from one to the other. */
  readonly #views: RoutingTopology[];
  /** The router that is asked in this step. */
  #router = 0;

  constructor(durability: 'sync' | 'async') {
    this.durability = durability;
    const first = on(1, 1000n, []);
    this.servers = ['a', 'b', 'c'].map((name) => ({
      member: memberId(name),
      received: first,
      applied: first,
      source: null,
      isPrimary: name === 'a',
    }));
    this.#leader = this.#server(0);
    for (const server of this.servers.slice(1)) server.source = this.#leader;
    this.#views = [this.#truth(), this.#truth()];
  }

  get #seen(): RoutingTopology {
    return this.#views[this.#router] ?? this.#truth();
  }

  set #seen(view: RoutingTopology) {
    this.#views[this.#router] = view;
  }

  /** The steps that follow are of this router. */
  ask(router: number): void {
    this.#router = router % 2;
  }

  #server(index: number): Server {
    const found = this.servers[index % this.servers.length];
    if (found === undefined) throw new Error('no such server');
    return found;
  }

  #truth(): RoutingTopology {
    const nodes = this.servers.map((server) =>
      nodeOf(server.member, { role: server === this.#leader ? 'primary' : 'replica', applied: server.applied }),
    );
    return topologyOf(nodes, {
      epoch: this.#epoch,
      overrode: this.#overrode,
      opened: this.#opened,
      leader: this.#leader.member,
    });
  }

  /** A session commits on the server that the router takes for the primary. `others` is written by others before its LSN is read. */
  write(which: number, bytes: number, others: number, isAcked: boolean): void {
    const session = this.#session(which);
    const server = this.servers.find(({ member }) => member === this.#seen.leader);
    if (server?.isPrimary !== true || !this.#isOfEpoch(server)) return;
    const end = server.received.lsn + BigInt(bytes);
    this.#grow(server, end + BigInt(others));
    const write: Write = { id: this.#writes.length, timeline: server.received.timeline, end };
    this.#writes.push(write);
    if (this.durability === 'sync') {
      // An old primary has nobody left who acknowledges: they are sealed. Without an acknowledgement nobody is told that it was committed.
      const acker =
        isAcked && server === this.#leader ? this.servers.find((each) => each.source === server) : undefined;
      if (acker === undefined) return;
      acker.received = { ...server.received };
    }
    const proof: Proof = this.durability === 'sync' ? 'acked' : 'local';
    this.#note(session, proof, server.received);
    session.mustSee.add(write.id);
  }

  #isOfEpoch(server: Server): boolean {
    return this.#seen.opened?.kind === 'wal' && server.received.timeline === this.#seen.opened.timeline;
  }

  #grow(server: Server, end: bigint): void {
    server.received = { ...server.received, lsn: lsn(end) };
    server.applied = server.received;
  }

  #note(session: Session, proof: Proof, { timeline, lsn: end }: WalPosition): void {
    const entry = { epoch: this.#seen.epoch, proof, position: { kind: 'wal', timeline, lsn: end } } as const;
    session.token = mergeTokens(session.token, newToken(CLUSTER, entry, 0));
  }

  #session(which: number): Session {
    const found = this.sessions[which % this.sessions.length];
    if (found === undefined) throw new Error('no such session');
    return found;
  }

  /** A server receives, and applies a share of what it holds. */
  replicate(which: number, receivedShare: number, appliedShare: number): void {
    const server = this.#server(which);
    if (server.source === null) return;
    const { received } = server.source;
    // Who holds what its source does not gets nothing more until it is rewound.
    if (!holds(received, server.received.timeline, server.received.lsn)) return;
    const gap = received.lsn - server.received.lsn;
    if (gap > 0n)
      server.received = { ...received, lsn: lsn(server.received.lsn + (gap * BigInt(receivedShare)) / 100n) };
    else if (received.timeline !== server.received.timeline) server.received = { ...received };
    server.received = placed(server.received);
    const rest = server.received.lsn - server.applied.lsn;
    const end = server.applied.lsn + (rest * BigInt(appliedShare)) / 100n;
    server.applied = placed({ ...server.received, lsn: lsn(end) });
  }

  /** The router hears of one server, or of the whole cluster. */
  hear(which: number, isWhole: boolean): void {
    const truth = this.#truth();
    const heard = this.#server(which).member;
    const nodes = this.#seen.nodes.map((node) =>
      isWhole || node.member === heard ? { ...node, applied: applied(truth, node.member) } : node,
    );
    this.#seen = isWhole ? { ...truth, nodes: truth.nodes } : { ...this.#seen, nodes };
  }

  /** Another server is promoted. `sync`: the one that has received most, or by force any. The others follow, but perhaps not all of them. */
  failover(which: number, isForced: boolean, staysBehind: boolean): void {
    const others = this.servers.filter((server) => server !== this.#leader && server.source === this.#leader);
    const furthest = others.reduce<Server | undefined>(
      (best, each) =>
        best === undefined || holds(each.received, best.received.timeline, best.received.lsn) ? each : best,
      undefined,
    );
    const chosen =
      this.durability === 'sync' && !isForced
        ? others.length === 2
          ? furthest
          : undefined
        : others[which % Math.max(1, others.length)];
    if (chosen === undefined) return;
    const old = this.#leader;
    this.#timelines += 1;
    this.#epoch = epoch(this.#epoch + 1);
    if (this.durability === 'sync' && isForced) this.#overrode = this.#epoch;
    const from = placed(chosen.received);
    const history = [...from.history, { timeline: from.timeline, switchLsn: from.lsn }];
    chosen.received = on(this.#timelines, from.lsn, history);
    chosen.applied = chosen.received;
    chosen.source = null;
    chosen.isPrimary = true;
    this.#opened = chosen.received;
    this.#leader = chosen;
    for (const server of others) {
      // Who was ahead of the chosen one stays with the old one, or is rewound.
      const isPrefix = holds(chosen.received, server.received.timeline, server.received.lsn);
      if (server !== chosen && isPrefix && !(staysBehind && this.durability === 'async')) server.source = chosen;
      else if (server !== chosen) server.source = staysBehind && this.durability === 'async' ? old : null;
    }
    old.source = null;
  }

  /** A server comes back as a replica; what it held beyond the fork is gone. Its restart ends the router's connections: what it showed is forgotten. */
  rejoin(which: number): void {
    const server = this.#server(which);
    if (server === this.#leader || server.source === this.#leader) return;
    const opened = this.#opened;
    const common = holds(opened, server.applied.timeline, server.applied.lsn)
      ? server.applied
      : base(server.applied, opened);
    server.received = common;
    server.applied = common;
    server.source = this.#leader;
    server.isPrimary = false;
    for (const [index, view] of this.#views.entries()) {
      const nodes = view.nodes.map((node) => (node.member === server.member ? { ...node, applied: null } : node));
      this.#views[index] = { ...view, nodes };
    }
  }

  /** An old primary that lives on writes for clients who reach it past the router, and who follows it applies that. */
  liveOn(bytes: number): void {
    for (const server of this.servers) {
      if (!server.isPrimary || server === this.#leader) continue;
      this.#grow(server, server.received.lsn + BigInt(bytes));
      for (const follower of this.servers.filter(({ source }) => source === server)) {
        follower.received = server.received;
        follower.applied = server.received;
      }
    }
  }

  /** One read at level session. Returns what it should have seen and did not; empty when all is well. */
  read(which: number, draws: readonly [number, number], maxWaitMs: number): readonly number[] {
    const session = this.#session(which);
    const standing = resolveToken(session.token, this.#seen);
    if (standing.kind === 'rejected') {
      this.counts.lost += 1;
      session.token = emptyToken(CLUSTER);
      session.mustSee = new Set();
      return [];
    }
    if (standing.kind === 'ahead') {
      this.counts.held += 1;
      return [];
    }
    if (standing.kind === 'valid') session.token = standing.token;
    const requirement = requirementOf(parseLevel('session') ?? { kind: 'session' }, standing);
    const choice = this.#choose(requirement, draws, maxWaitMs);
    if (choice.kind !== 'node') {
      this.counts.held += 1;
      return [];
    }
    const server = this.servers.find(({ member }) => member === choice.member) ?? this.#leader;
    const isGuarded = choice.guard !== null;
    // A connection counts for an epoch only after the server has shown that it is a primary, and on that epoch's timeline.
    const isOfEpoch = this.#isOfEpoch(server);
    if (choice.role === 'primary' && !(server.isPrimary && isOfEpoch)) {
      this.counts.held += 1;
      return [];
    }
    // The guard compares the number alone.
    const isRefused = choice.guard?.kind === 'wal' && server.applied.lsn < choice.guard.lsn;
    if (isRefused) return [];
    this.counts[isGuarded ? 'guarded' : choice.role] += 1;
    const missing = this.#look(session, server);
    // An operator's word takes acknowledged writes, and until this router has heard of it nothing can tell.
    const isForced = this.#overrode !== null && this.#overrode > this.#seen.epoch;
    return isGuarded && isForced ? [] : missing;
  }

  #choose(requirement: ReturnType<typeof requirementOf>, draws: readonly [number, number], maxWaitMs: number): Choice {
    return chooseNode({
      topology: this.#seen,
      clock: EMPTY_CLOCK,
      allowed: 'any',
      requirement,
      target: { kind: 'auto' },
      pool: WHOLE_CLUSTER,
      policy: { ...DEFAULT_CHOICE_POLICY, maxWaitMs },
      nowMs: ms(0),
      draws,
      turn: 0,
      sticky: null,
      excluded: new Set(),
    });
  }

  #look(session: Session, server: Server): readonly number[] {
    const visible = new Set(
      this.#writes.filter(({ timeline, end }) => holds(server.applied, timeline, end)).map(({ id }) => id),
    );
    const missing = [...session.mustSee].filter((id) => !visible.has(id));
    for (const id of visible) session.mustSee.add(id);
    this.#note(session, 'seen', server.applied);
    return missing;
  }
}

/** On its way to a timeline a server is on the older one as long as it has not come to the fork. */
function placed(position: WalPosition): WalPosition {
  const { history, lsn: end } = position;
  const index = history.findIndex(({ switchLsn }) => end < switchLsn);
  const step = history[index];
  return step === undefined ? position : on(step.timeline, end, history.slice(0, index));
}

/** Where a history leaves that of the leader. */
function base(position: WalPosition, opened: WalPosition): WalPosition {
  const stretches = [...opened.history, { timeline: opened.timeline, switchLsn: opened.lsn }];
  const own = [...position.history, { timeline: position.timeline, switchLsn: position.lsn }];
  let common = on(1, 0n, []);
  for (const [index, step] of own.entries()) {
    const other = stretches[index];
    if (other?.timeline !== step.timeline) break;
    const end = step.switchLsn < other.switchLsn ? step.switchLsn : other.switchLsn;
    common = on(step.timeline, end, opened.history.slice(0, index));
    if (step.switchLsn !== other.switchLsn) break;
  }
  return common;
}

const applied = (topology: RoutingTopology, member: MemberId): Position | null =>
  topology.nodes.find((node) => node.member === member)?.applied ?? null;
