import type { Mutant } from './mutant.ts';

/** Wrong ways to let one replica feed another. */
export const TREE_MUTANTS: readonly Mutant[] = [
  {
    name: 'sealed-below-intermediate',
    description:
      'A node that receives from another replica publishes its seal without cutting that stream: it is not the one of the leader.',
    edits: [
      {
        file: 'core/src/failover/seal.ts',
        find: `  if (quorum !== null) return quorum;
  if (obs.engine.upstream !== null || obs.engine.receiver.kind === 'streaming') {`,
        replace: `  if (quorum !== null) return quorum;
  if (obs.engine.upstream === record.value.leader) {`,
      },
    ],
    hunt: { withinSeeds: 50 },
  },
  {
    name: 'below-though-needed',
    description: 'A member stays below another replica although the leader has too few others that acknowledge.',
    edits: [
      {
        file: 'core/src/replica/topology.ts',
        find: `  return there.length >= config.requiredAcks;`,
        replace: `  return there.length >= 0;`,
      },
    ],
    hunt: { withinSeeds: 400 },
  },
  {
    name: 'wanted-elsewhere-still-counted',
    description:
      'The leader goes on counting on members that are wanted under another replica, so they never get there.',
    edits: [
      {
        file: 'core/src/replica/topology.ts',
        find: `  return counted.length >= ctx.config.requiredAcks ? direct : members;`,
        replace: `  return counted.length < 0 ? direct : members;`,
      },
    ],
    hunt: { withinSeeds: 50 },
  },
  {
    name: 'shape-before-durability',
    description: 'The leader counts on members that are wanted below itself only, also when too few of those are left.',
    edits: [
      {
        file: 'core/src/replica/topology.ts',
        find: `  return counted.length >= ctx.config.requiredAcks ? direct : members;`,
        replace: `  return direct;`,
      },
      {
        file: 'core/src/durability/ack-rule-change.ts',
        find: `  const pool = direct.filter(isFit).length >= config.requiredAcks ? direct : all;`,
        replace: `  const pool = direct;`,
      },
    ],
    hunt: { withinSeeds: 200, nodes: 3 },
  },
];
