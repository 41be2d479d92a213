import type { Mutant } from './mutant.ts';

/** Wrong ways to look at a server of MySQL or MariaDB that somebody may have changed. */
export const MEDDLE_MUTANTS: readonly Mutant[] = [
  {
    name: 'seal-from-memory',
    description: 'That a replica is cut is taken from what its agent noted, and noted before the receiver is gone.',
    edits: [
      {
        file: 'sim/src/agent/observe.ts',
        find: `const mayAcknowledge = source !== null || server.waitsForStandbys;`,
        replace: `const mayAcknowledge = source !== null && server.life < 0;`,
      },
      {
        file: 'sim/src/agent/gtid-commands.ts',
        find: `    return [
      this.#statement(() => setUpstream(server, null)),`,
        replace: `    return [
      this.#meantNobody(),
      this.#statement(() => setUpstream(server, null)),`,
      },
    ],
    hunt: { withinSeeds: 300, flavour: 'mysql' },
  },
  {
    name: 'role-from-read-only',
    description: 'A leader on which somebody has switched read_only on counts as one that has stopped.',
    edits: [
      {
        file: 'sim/src/agent/observe.ts',
        find: `  return server.process === 'primary';`,
        replace: `  return server.process === 'primary' && !server.closedByHand;`,
      },
      {
        file: 'sim/src/agent/observe.ts',
        find: `const mayAcknowledge = source !== null || server.waitsForStandbys;`,
        replace: `const mayAcknowledge = source !== null;`,
      },
    ],
    hunt: { withinSeeds: 300, flavour: 'mysql' },
  },
];
