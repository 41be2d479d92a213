import type { FaultCourse } from '../faults/swarm.ts';
import type { Mutant } from './mutant.ts';

/** Two leaderships after a copy of the store was made, power goes away everywhere, and the copy is put back. */
const OLDER_EPOCH: FaultCourse = {
  everyMs: 40_000,
  faults: [
    { at: 3000, kind: 'kill-host', node: 0, forMs: 12_000 },
    { at: 12_000, kind: 'kill-host', node: 1, forMs: 14_000 },
    { at: 12_000, kind: 'kill-host', node: 2, forMs: 14_000 },
    { at: 12_000, kind: 'store-put-back', agoMs: 9500, hosts: 'stay', forMs: 0 },
  ],
};

/** The rule moves from one acker to the other after the copy; the first one comes back alone, hours old. */
const OLDER_RULE: FaultCourse = {
  everyMs: 45_000,
  faults: [
    { at: 0, kind: 'kill-host', node: 2, forMs: 4000 },
    { at: 9000, kind: 'kill-host', node: 1, forMs: 12_000 },
    { at: 14_000, kind: 'kill-host', node: 0, forMs: 25_000 },
    { at: 14_000, kind: 'kill-host', node: 2, forMs: 12_000 },
    { at: 14_000, kind: 'store-put-back', agoMs: 10_500, hosts: 'stay', forMs: 0 },
  ],
};

/** Wrong variants of what keeps a store that was put back from deciding anything. */
export const PUT_BACK_MUTANTS: readonly Mutant[] = [
  {
    name: 'note-ignored',
    description: 'A new agent does not look at what stands in its data directory.',
    edits: [
      {
        file: 'sim/src/agent/agent.ts',
        find: `this.#session.remember(this.#note()?.mark ?? this.#host.server.memory);`,
        replace: `this.#session.remember(null);`,
      },
    ],
    hunt: { withinSeeds: 60, nodes: 3, durability: 'sync', course: OLDER_EPOCH },
  },
  {
    name: 'only-the-epoch-compared',
    description: 'A store at the same epoch is believed whatever its rule.',
    edits: [
      {
        file: 'core/src/bootstrap/store-past.ts',
        find: `  if (seen.revision >= known.revision) return GOES_ON;`,
        replace: `  if (seen.revision >= 0) return GOES_ON;`,
      },
    ],
    hunt: { withinSeeds: 60, nodes: 3, durability: 'sync', course: OLDER_RULE },
  },
];
