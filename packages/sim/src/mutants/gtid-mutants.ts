import type { FaultCourse } from '../faults/swarm.ts';
import type { Mutant } from './mutant.ts';

/** A replica that is slow to apply loses its power while it acknowledges, and then its leader goes. */
const SLOW_APPLIER: FaultCourse = {
  everyMs: 30_000,
  faults: [
    { at: 0, kind: 'slow-reload', node: 0, forMs: 6000, extraMs: 3000 },
    { at: 0, kind: 'slow-reload', node: 1, forMs: 6000, extraMs: 3000 },
    { at: 0, kind: 'slow-reload', node: 2, forMs: 6000, extraMs: 3000 },
    { at: 1500, kind: 'kill-database', node: 'follower' },
    { at: 1500, kind: 'kill-database', node: 'leader' },
  ],
};

/** Somebody's replica acknowledges at the leader; then both of its own are away, and then it is. */
const STRANGER: FaultCourse = {
  everyMs: 40_000,
  faults: [
    { at: 0, kind: 'stranger', node: 'leader' },
    { at: 2000, kind: 'isolate', node: 'leader', forMs: 12_000, clients: 'kept' },
    { at: 3500, kind: 'kill-host', node: 'leader', forMs: 20_000 },
  ],
};

/** A leader that has lost its only replica is told to end, by somebody else than its agent, and its host does not come back before the replica. */
const ENDED_ALONE: FaultCourse = {
  everyMs: 40_000,
  faults: [
    { at: 0, kind: 'kill-host', node: 'follower', forMs: 14_000 },
    // By then the leader has noticed that its stream is dead.
    { at: 11_000, kind: 'terminate-database', node: 'leader' },
    { at: 11_010, kind: 'kill-host', node: 'leader', forMs: 15_000 },
  ],
};

/** Traps of MySQL's and MariaDB's servers that the engine has to avoid. */
export const GTID_MUTANTS: readonly Mutant[] = [
  {
    name: 'relay-log-not-settled',
    description:
      'After a crash of a MariaDB replica its replication is started, which deletes what it had received only.',
    edits: [
      {
        file: 'sim/src/agent/jobs.ts',
        find: `        server.appliedLsn = server.lsn;`,
        replace: `        server.appliedLsn += 0;`,
      },
    ],
    hunt: { withinSeeds: 50, flavour: 'mariadb', nodes: 3, durability: 'sync', course: SLOW_APPLIER },
  },
  {
    name: 'promoted-undrained',
    description: 'A replica is promoted, and its relay log removed, before everything in it is applied.',
    edits: [
      {
        file: 'sim/src/agent/gtid-commands.ts',
        find: `        this.#drained(PROMOTE_DRAIN_MS, 'ENGINE_PROMOTE_FAILED'),
`,
        replace: '',
      },
    ],
    hunt: { withinSeeds: 50, flavour: 'mysql' },
  },
  {
    name: 'source-changed-undrained',
    description: 'MariaDB is given a new source, or another account, before what it received is applied.',
    edits: [
      {
        file: 'sim/src/agent/gtid-commands.ts',
        find: `server.flavour === 'mariadb' ? [this`,
        replace: `server.flavour === 'postgres' ? [this`,
      },
    ],
    hunt: { withinSeeds: 100, flavour: 'mariadb' },
  },
  {
    name: 'accounts-not-locked',
    description:
      'Whoever is connected may acknowledge: the accounts of those outside of the rule are not locked, and nobody looks.',
    edits: [
      {
        file: 'sim/src/agent/gtid-commands.ts',
        find: `() => lockOthers(server, rule.members),`,
        replace: `() => undefined,`,
      },
      {
        file: 'sim/src/agent/gtid-commands.ts',
        find: `unlock(server, rule.members),`,
        replace: `unlock(server, server.world.servers.map(memberName)),`,
      },
      {
        file: 'sim/src/agent/gtid-commands.ts',
        find: `import type { Ending, EngineHost } from './host.ts';
`,
        replace: `import type { Ending, EngineHost } from './host.ts';
import { memberName } from '../server/acks.ts';
`,
      },
      { file: 'sim/src/agent/account-proof.ts', find: ` && !others;`, replace: ` && (!others || others);` },
    ],
    hunt: { withinSeeds: 50, flavour: 'mysql' },
  },
  {
    name: 'strangers-counted',
    description: "Somebody's replica acknowledges, and nobody compares who is counted with the rule.",
    edits: [
      {
        file: 'sim/src/agent/engine.ts',
        find: `      keepCount(server, this.#accounts.rule);
`,
        replace: '',
      },
    ],
    hunt: { withinSeeds: 30, flavour: 'mysql', nodes: 3, durability: 'sync', course: STRANGER },
  },
  {
    name: 'waiting-commits-shut-down',
    description:
      'A MySQL leader whose replicas are away goes on asking for one: its shutdown answers what waits with success.',
    edits: [
      {
        file: 'sim/src/agent/ack-count.ts',
        find: `readers.length < rule.required ? NOBODY_SUFFICES : rule.required`,
        replace: `readers.length < 0 ? NOBODY_SUFFICES : rule.required`,
      },
    ],
    hunt: { withinSeeds: 30, flavour: 'mysql', nodes: 2, durability: 'sync', course: ENDED_ALONE },
  },
  {
    name: 'strangers-let-in',
    description: "MariaDB takes a stranger's acknowledgement, and he is only told of.",
    edits: [
      {
        file: 'sim/src/agent/ack-count.ts',
        find: `    server.strangers = 0;
`,
        replace: '',
      },
    ],
    hunt: { withinSeeds: 30, flavour: 'mariadb', nodes: 3, durability: 'sync', course: STRANGER },
  },
  {
    name: 'locked-but-connected',
    description: 'An account is locked and its connection goes on: the server still takes its acknowledgements.',
    edits: [
      {
        file: 'sim/src/server/accounts.ts',
        find: `members.includes(memberName(stream.sink))) endSender(stream);`,
        replace: `members.includes(memberName(stream.sink)) && server.lsn < 0) endSender(stream);`,
      },
      { file: 'sim/src/agent/account-proof.ts', find: ` && !others;`, replace: ` && (!others || others);` },
    ],
    hunt: { withinSeeds: 100, flavour: 'mysql' },
  },
  {
    name: 'copy-account-acknowledges',
    description: 'A replica that follows through the copy account asks for acknowledgements too, and is counted.',
    edits: [
      {
        file: 'sim/src/server/semi-sync.ts',
        find: `  if (stream.account !== 'ack' || server.process`,
        replace: `  if (server.process`,
      },
    ],
    hunt: { withinSeeds: 50, flavour: 'mysql' },
  },
  {
    name: 'opened-before-rule',
    description: 'A new leader is open for writes before its server counts by the new rule.',
    edits: [
      {
        file: 'sim/src/agent/gtid-commands.ts',
        find: `        this.#statement(() => openOnLine(server, command.epoch), 'open for writes'),
`,
        replace: '',
      },
      {
        file: 'sim/src/agent/gtid-commands.ts',
        find: `        ...this.#installation(command.rule),
        this.#proven(command.rule),
`,
        replace: `        this.#statement(() => openOnLine(server, command.epoch)),
        ...this.#installation(command.rule),
        this.#proven(command.rule),
`,
      },
    ],
    hunt: { withinSeeds: 50, flavour: 'mysql' },
  },
  {
    name: 'semi-sync-times-out',
    description: 'A commit that nobody acknowledges goes on by itself after ten seconds, as the servers do by default.',
    edits: [
      {
        file: 'sim/src/server/semi-sync.ts',
        find: `const TIMEOUT_MS = Number.POSITIVE_INFINITY;`,
        replace: `const TIMEOUT_MS = 10_000;`,
      },
    ],
    hunt: { withinSeeds: 50, flavour: 'mysql' },
  },
  {
    name: 'marker-not-written',
    description: 'A promotion writes on without the marker of its line.',
    edits: [
      {
        file: 'sim/src/wal/gtid.ts',
        find: `    set.set(systemId, normalizeIntervals(markers));
`,
        replace: '',
      },
      {
        file: 'sim/src/wal/gtid.ts',
        find: `timelines: [...timelines, timeline] };`,
        replace: `timelines };`,
      },
    ],
    hunt: { withinSeeds: 50, flavour: 'mysql' },
  },
  {
    name: 'mariadb-acks-believed',
    description: 'MariaDB is taken for a server that can wait for two acknowledgements.',
    edits: [
      {
        file: 'sim/src/server/flavour.ts',
        find: `return flavour === 'mariadb' ? 1 : null;`,
        replace: `return flavour === 'mariadb' ? null : null;`,
      },
    ],
    hunt: { withinSeeds: 50, flavour: 'mariadb' },
  },
  {
    name: 'reports-without-positions',
    description: 'A leader takes a replica that it has a connection of for one that holds everything.',
    edits: [
      {
        file: 'sim/src/agent/reports.ts',
        find: `confirmed: report.position,`,
        replace: `confirmed: server.branch === null ? report.position : toPosition(server.branch, server.lsn),`,
      },
      {
        file: 'sim/src/agent/reports.ts',
        find: `import type { SimServer } from '../server/server.ts';
`,
        replace: `import type { SimServer } from '../server/server.ts';
import { toPosition } from '../wal/position.ts';
`,
      },
    ],
    hunt: { withinSeeds: 300, flavour: 'mysql' },
  },
];
