import type { Mutant } from './mutant.ts';

/** Wrong ways to look at a server of PostgreSQL that somebody may have changed. */
export const MEDDLE_POSTGRES_MUTANTS: readonly Mutant[] = [
  {
    name: 'standby-name-is-member-name',
    description:
      'Acknowledgements are counted by member name, which a receiver that somebody starts by hand on a sealed replica has too.',
    edits: [
      {
        file: 'sim/src/server/acks.ts',
        find: `  return !stream.byHand;`,
        replace: `  return stream.senderAlive;`,
      },
    ],
    hunt: { withinSeeds: 300 },
  },
];
