import type { MemberView, StatusView } from '@understudy/agent/client';
import { encodePosition, lsn, parseLsn } from '@understudy/core';

/** A position of a history in which timeline n+1 forked off timeline n at n × 0x1000000. */
export function encoded(text: string): MemberView['encodedPosition'] {
  const [timeline = '1', end = '0/0'] = text.split('@');
  const history = Array.from({ length: Number(timeline) - 1 }, (_, index) => ({
    timeline: index + 1,
    switchLsn: lsn(BigInt(index + 1) * 0x100_0000n),
  }));
  return encodePosition({ kind: 'wal', timeline: Number(timeline), lsn: parseLsn(end) ?? lsn(0n), history });
}

/** A member that replicates well, changed as wanted. */
export function member(id: string, change: Partial<MemberView> = {}): MemberView {
  const position = change.position === undefined ? '4@0/5000148' : change.position;
  return {
    id,
    role: 'sync-standby',
    state: 'replica',
    agent: { kind: 'fresh', silentMs: 50 },
    session: 'held',
    apiUrl: `http://127.0.0.1:80${id.slice(1)}`,
    host: '127.0.0.1',
    port: 5432 + Number(id.slice(1)),
    epoch: 3,
    lineage: 4,
    position: '4@0/5000148',
    encodedPosition: position === null ? null : encoded(position),
    replayed: '4@0/5000148',
    receiveLagBytes: 0,
    replayLagBytes: 0,
    replayLagMs: 0,
    lagIsAtLeast: false,
    upstream: 'n1',
    wantedUpstream: null,
    hopLagBytes: 0,
    hopLagMs: 0,
    receiver: { kind: 'streaming', silentMs: 40 },
    suspects: null,
    sealed: null,
    tags: { nofailover: false, nosync: false, noloadbalance: false, priority: 100, zone: null, delayMs: 0 },
    reasons: [{ code: 'following', text: 'Following n1.' }],
    job: null,
    version: '17.10',
    pendingRestart: [],
    warnings: [],
    retainedBytes: {},
    ...change,
  };
}

/** A member that leads. */
export function leading(id: string, change: Partial<MemberView> = {}): MemberView {
  return member(id, {
    role: 'leader',
    state: 'primary',
    agent: { kind: 'self' },
    receiveLagBytes: null,
    replayLagBytes: null,
    replayLagMs: null,
    upstream: null,
    hopLagBytes: null,
    hopLagMs: null,
    receiver: null,
    reasons: [{ code: 'leading', text: 'Leading epoch 3.' }],
    ...change,
  });
}

/** A member whose host is gone. */
export function gone(id: string, change: Partial<MemberView> = {}): MemberView {
  return member(id, { agent: { kind: 'refusing', forMs: 4200 }, session: 'absent', ...change });
}

/** Three nodes, all well, n1 leads; changed as wanted. */
export function status(change: Partial<StatusView> = {}): StatusView {
  return {
    cluster: 'shop',
    engine: 'postgres',
    answeredBy: 'n1',
    wallMs: 1_795_000_060_000,
    systemId: '7000',
    epoch: 3,
    leader: 'n1',
    phase: 'open',
    since: { wallMs: 1_795_000_000_000, cause: 'switchover' },
    durability: 'sync',
    rule: { members: ['n2', 'n3'], required: 1 },
    moving: null,
    paused: false,
    store: { kind: 'current', silentMs: 0, name: 'local store /x/store.db', problem: null },
    rpo: { kind: 'zero-proven', text: 'rpo: zero (proven): any 1 of (n2, n3) hold it.' },
    members: [leading('n1'), member('n2'), member('n3')],
    request: null,
    lastOutcome: null,
    warnings: [],
    ...change,
  };
}
