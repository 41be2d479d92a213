import type { Mutant } from './mutant.ts';

/** Wrong variants of the shell around the protocol, and traps of the real server that the engine has to avoid. */
export const SHELL_MUTANTS: readonly Mutant[] = [
  {
    name: 'transaction-retried',
    description: 'A store transaction whose outcome is unknown is sent again with fresh revisions.',
    edits: [
      {
        file: 'sim/src/agent/store-session.ts',
        find: `      this.#refresh(() => done(ending));`,
        replace: `    this.#refresh(() => {
      if (ending !== 'unknown' || this.#content === null) return done(ending);
      const expect = commit.expect.map((each) => ({ key: each.key, is: this.#store.registers.revisionOf(each.key) ?? 'absent' as const }));
      this.#call({ kind: 'transact', commit: { ...commit, expect } }, (answer) => this.#refresh(() => done(endingOf(answer))));
    });`,
      },
    ],
    hunt: { withinSeeds: 200 },
  },
  {
    name: 'lease-from-response',
    description: 'A lease is counted from when the answer arrived, not from when the renewal was sent.',
    edits: [
      {
        file: 'sim/src/agent/store-session.ts',
        find: `leaseUntil(sentAt, ttlMs)`,
        replace: `leaseUntil(this.#process.localNow(), ttlMs)`,
      },
    ],
    hunt: { withinSeeds: 50, durability: 'async' },
  },
  {
    name: 'slots-missing',
    description: 'A standby reconnects beside its own dead connection, and both count as acknowledgements.',
    edits: [
      {
        file: 'sim/src/server/stream.ts',
        find: `source.senders.some((stream) => stream.sink === sink) ? 'slot' : null`,
        replace: `null`,
      },
    ],
    hunt: { withinSeeds: 500 },
  },
  {
    name: 'guard-not-told',
    description: 'The guard is not told of a primary before it opens.',
    edits: [
      {
        file: 'sim/src/agent/agent.ts',
        find: `    if (command.kind === 'promote') this`,
        replace: `    if (command.kind === 'promote' && this.#runMs < 0) this`,
      },
    ],
    hunt: { withinSeeds: 400, durability: 'async' },
  },
  {
    name: 'rule-after-opening',
    description: 'A new leader opens for writes before its server has loaded the new ack rule.',
    edits: [
      {
        file: 'sim/src/agent/engine.ts',
        find: `      () => ruleIsLoaded(server),
      (ending) => {
        const stale`,
        replace: `      () => true,
      (ending) => {
        const stale`,
      },
    ],
    hunt: { withinSeeds: 50 },
  },
  {
    name: 'shorter-lease-believed-late',
    description: 'While a shorter lease may already have taken the session over, the longer one is still believed.',
    edits: [
      {
        file: 'sim/src/agent/store-session.ts',
        find: `this.#leaseUntil > until) this.#leaseUntil = until;`,
        replace: `this.#leaseUntil > until) return;`,
      },
    ],
    hunt: {
      withinSeeds: 50,
      durability: 'async',
      course: {
        everyMs: 25_000,
        faults: [
          { at: 0, kind: 'config', change: { leaseTtlMs: 10_000 } },
          { at: 8150, kind: 'cut-store', node: 'leader', direction: 'from', forMs: 9000 },
          { at: 8000, kind: 'config', change: { leaseTtlMs: 3000 } },
        ],
      },
    },
  },
  {
    name: 'dead-word-counts',
    description: 'What a dead agent said last is taken for the word of the next one, which has said nothing yet.',
    edits: [
      {
        file: 'sim/src/agent/peers.ts',
        find: `return { kind: 'silent', last: publication.live, silentMs };`,
        replace: `return { kind: 'fresh', live: publication.live, silentMs: 0 };`,
      },
    ],
    hunt: { withinSeeds: 50, nodes: 3, durability: 'sync' },
  },
];
