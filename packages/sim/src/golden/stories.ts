import type { Fault } from '../faults/fault.ts';
import type { Scenario } from '../run/scenario.ts';

/** A scripted scenario whose transcript teaches one part of the protocol. */
export interface Story {
  readonly name: string;
  readonly title: string;
  /** What to look for in the transcript; one paragraph. */
  readonly lesson: string;
  readonly scenario: Scenario;
}

/** The cluster is founded and calm by then; faults are given relative to it. */
export const CALM_MS = 15_000;

type Change = Partial<Omit<Scenario, 'faults' | 'durationMs'>>;

function story(
  name: string,
  title: string,
  lesson: string,
  lastsMs: number,
  faults: readonly Fault[],
  change: Change = {},
): Story {
  const nodes = change.nodes ?? 3;
  const scenario: Scenario = {
    seed: 7,
    flavour: 'postgres',
    nodes,
    settleMs: 120_000,
    idleMs: 15_000,
    config: {},
    tags: Array.from({ length: nodes }, () => ({})),
    net: { linkMs: 0.4, jitterMs: 0.2, spikeShare: 0, spikeMs: 0 },
    clocks: Array.from({ length: nodes }, () => ({ rate: 1, wallOffsetMs: 0 })),
    bootDelaysMs: Array.from({ length: nodes }, (_, index) => index * 300),
    storeClockRate: 1,
    writesPerSecond: 100,
    burstPerSecond: 0,
    writeBytes: 200,
    canRewind: 'yes',
    startLsn: 0x3000000,
    streamTimeoutMs: 5000,
    ...change,
    durationMs: CALM_MS + lastsMs,
    faults: faults.map((fault) => ({ ...fault, at: CALM_MS + fault.at })),
  };
  return { name, title, lesson, scenario };
}

/** Every story, in the order in which they are best read. */
export const STORIES: readonly Story[] = [
  story(
    'kill-database',
    'The primary’s database process is killed',
    'The agent beside the process sees its end at once and says so to the others. They cut their streams (seal), publish how far they came, and the first of the most advanced takes the next epoch. The fallen server waits a moment before it starts, so that the others have the first move; it comes back as a replica.',
    6000,
    [{ at: 0, kind: 'kill-database', node: 'leader' }],
  ),
  story(
    'kill-host',
    'The primary’s host loses power and comes back later',
    'Nobody is there to say anything: the others wait until neither the agent nor the replication stream was heard for a second. The new leader stops counting on the lost member after a while; when it is back it holds a log that nobody acknowledged, or exactly the new leader’s past, and follows or is rewound accordingly.',
    14_000,
    [{ at: 0, kind: 'kill-host', node: 'leader', forMs: 8000 }],
  ),
  story(
    'partition',
    'The primary is cut off from the others and from the store, but not from its clients',
    'The old primary goes on taking writes, and cannot acknowledge one of them: both of its ackers are sealed. Nobody waits for its lease. When its authority has run out its guard kills it; after the partition the agent finds that its log has diverged and rewinds it.',
    16_000,
    [{ at: 0, kind: 'isolate', node: 'leader', forMs: 9000, clients: 'kept' }],
  ),
  story(
    'switchover',
    'A planned switchover',
    'Checkpoint first, then the orderly stop, which sends the end of the log to the replicas. Only now is the next leader chosen, among those who hold that very end; the old leader’s own seal is the proof. The old server comes back as a replica without rewinding.',
    5000,
    [{ at: 0, kind: 'switchover', to: null, timeoutMs: 10_000, scheduledInMs: null }],
  ),
  story(
    'switchover-undone',
    'A switchover to a node that dies in the middle',
    'The primary has stopped, and the node that was to take over is gone. The old leader waits for it in vain, then leads again under a new epoch: nobody else held the end of the log, and its own seal is the proof. The operator is told that it failed, and why.',
    14_000,
    [
      { at: 0, kind: 'switchover', to: 1, timeoutMs: 4000, scheduledInMs: null },
      {
        at: 0,
        kind: 'at-command',
        command: 'stop',
        purpose: null,
        moment: 'after',
        victim: 'follower',
        strike: 'kill-host',
        forMs: 8000,
      },
    ],
    { nodes: 2 },
  ),
  story(
    'ackers-shrink-and-grow',
    'A replica leaves and comes back',
    'The ack rule is changed in four steps: both rules into the record (an election must stop any mixture of them), the server counts by the new one and proves it, the members of the new one hold everything that the old one let through (the barrier), the new one alone into the record. The same steps shrink and grow.',
    14_000,
    [{ at: 0, kind: 'kill-host', node: 'follower', forMs: 6000 }],
  ),
  story(
    'two-nodes-degrade',
    'Two nodes: the replica is lost, the primary goes on alone',
    'First it is recorded that the leader acknowledges alone, so that nobody else can be elected; only then does the server stop waiting. When the replica is back, the way leads through the barrier to the old rule again.',
    20_000,
    [{ at: 0, kind: 'kill-host', node: 'follower', forMs: 10_000 }],
    { nodes: 2, config: { whenShort: 'degrade', degradeAfterMs: 3000 } },
  ),
  story(
    'store-outage',
    'The consensus store is gone for ten seconds',
    'Nothing happens to the writes. As long as the ackers confirm to the primary they have not sealed, so no newer epoch can exist, and the primary needs no lease to know it.',
    14_000,
    [{ at: 0, kind: 'store-down', forMs: 10_000, leases: 'extended' }],
  ),
  story(
    'agent-frozen',
    'The primary’s agent is frozen, its database is not',
    'The replication stream goes on: a silent agent beside a living stream is no reason to do anything. The guard replaces the frozen agent; the new one adopts the running server.',
    8000,
    [{ at: 0, kind: 'freeze-agent', node: 'leader', forMs: 6000 }],
  ),
  story(
    'agent-killed-async',
    'The primary’s agent is killed, durability is asynchronous',
    'The new agent holds no lease in its first moment. It does not fence the server for that: the deadline that the guard kept from its predecessor bounds the server until the new session is held, and then it is adopted.',
    5000,
    [{ at: 0, kind: 'kill-agent', node: 'leader' }],
    { config: { durability: 'async' } },
  ),
  story(
    'rejoin-by-copy',
    'A diverged old primary that cannot be rewound',
    'As in `partition`, on a server without pg_rewind: what only this node holds is moved aside, and the node is copied anew from the leader.',
    22_000,
    [{ at: 0, kind: 'isolate', node: 'leader', forMs: 8000, clients: 'kept' }],
    { canRewind: 'no' },
  ),
  story(
    'second-crash',
    'The chosen leader dies while it is being promoted',
    'The record already names it: a further election has to stop its ackers, and whoever leads next must hold what this one was chosen at.',
    12_000,
    [
      {
        at: 0,
        kind: 'at-command',
        command: 'promote',
        purpose: null,
        moment: 'before',
        victim: 'self',
        strike: 'kill-host',
        forMs: 6000,
      },
      { at: 0, kind: 'kill-host', node: 'leader', forMs: 3000 },
    ],
  ),
  story(
    'async-lease',
    'Asynchronous durability: the lease is the only fence',
    'Nobody acknowledges for the primary, so seals prove nothing: the others wait until its lease has run out in the store. The guard has killed it by then. What it wrote after the last byte that left it is lost, within the configured bound.',
    18_000,
    [{ at: 0, kind: 'isolate', node: 'leader', forMs: 12_000, clients: 'kept' }],
    { config: { durability: 'async' } },
  ),
  story(
    'mysql-relay-drained',
    'MySQL: the relay log is applied before anybody is let in',
    'A replica acknowledges what it has received, not what it has applied. Its position is therefore the union of both, it vouches for it when it is sealed, and the chosen one opens only when its slow applier has worked everything off: the wait is longer, and nothing acknowledged is lost. Only then may the relay log go.',
    12_000,
    [
      { at: 0, kind: 'slow-reload', node: 0, forMs: 9000, extraMs: 4000 },
      { at: 0, kind: 'slow-reload', node: 1, forMs: 9000, extraMs: 4000 },
      { at: 0, kind: 'slow-reload', node: 2, forMs: 9000, extraMs: 4000 },
      { at: 1000, kind: 'kill-host', node: 'leader', forMs: 6000 },
    ],
    { flavour: 'mysql', canRewind: 'no' },
  ),
  story(
    'mysql-accounts',
    'MySQL: who acknowledges is decided by accounts',
    'As in `ackers-shrink-and-grow`, but a MySQL server has no list of names: every replica acknowledges that is connected with its own account, and the leader locks the accounts of all others and cuts their connections. The order is that of the record: locked out before the number changes, let in after it.',
    14_000,
    [{ at: 0, kind: 'kill-host', node: 'follower', forMs: 6000 }],
    { flavour: 'mysql', canRewind: 'no' },
  ),
  story(
    'mysql-two-acks',
    'MySQL: with two acknowledgements of four, one silent replica does not matter',
    'Every acknowledged write is on two of the four replicas, so three seals (4 - 2 + 1) stop the old leader and show all of them. One replica is frozen when the leader dies: the others elect at once.',
    10_000,
    [
      { at: 0, kind: 'freeze-host', node: 'follower', forMs: 7000 },
      { at: 500, kind: 'kill-database', node: 'leader' },
    ],
    { flavour: 'mysql', canRewind: 'no', nodes: 5, config: { requiredAcks: 2 } },
  ),
  story(
    'mariadb-one-ack',
    'MariaDB: with one acknowledgement of four, every replica must be heard',
    'The same as `mysql-two-acks` on a server that cannot wait for more than one acknowledgement. The frozen replica may be the only one that holds an acknowledged write, so all four seals are needed: nobody is elected by seals before it is back. Here the old leader is back first, and its own word is a proof as well.',
    10_000,
    [
      { at: 0, kind: 'freeze-host', node: 'follower', forMs: 7000 },
      { at: 500, kind: 'kill-database', node: 'leader' },
    ],
    { flavour: 'mariadb', canRewind: 'no', nodes: 5, config: { requiredAcks: 1 } },
  ),
];
