import type { Mutant } from './mutant.ts';

/** Wrong variants of the protocol. */
export const CORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'no-seal',
    description: 'A replica publishes its position without cutting its stream first.',
    file: 'core/src/protocol/seal.ts',
    find: `  if (quorum !== null) return quorum;
  if (obs.engine.upstream !== null || obs.engine.receiver.kind === 'streaming') {`,
    replace: `  if (quorum !== null) return quorum;
  if (obs.now < 0) {`,
    withinSeeds: 20,
    nodes: null,
  },
  {
    name: 'seal-not-verified',
    description:
      'The position is published as soon as the stream was told to end, while the receiver may still be there.',
    file: 'core/src/protocol/seal.ts',
    find: `  if (quorum !== null) return quorum;
  if (obs.engine.upstream !== null || obs.engine.receiver.kind === 'streaming') {`,
    replace: `  if (quorum !== null) return quorum;
  if (obs.engine.upstream !== null) {`,
    withinSeeds: 300,
    nodes: null,
  },
  {
    name: 'lsn-as-text',
    description: 'Log positions are compared as the text that people read.',
    file: 'core/src/position/wal.ts',
    find: `(a < b ? -1 : a > b ? 1 : 0)`,
    replace: `(formatLsn(a) < formatLsn(b) ? -1 : formatLsn(a) > formatLsn(b) ? 1 : 0)`,
    withinSeeds: 50,
    nodes: null,
  },
  {
    name: 'acker-removed-from-record-first',
    description: 'A new ack rule is recorded alone before the server uses it and before the barrier.',
    file: 'core/src/protocol/ackers.ts',
    find: `{ moving: target, durability: turn.config.durability }`,
    replace: `{ rule: target, moving: null, durability: turn.config.durability }`,
    withinSeeds: 5,
    nodes: null,
  },
  {
    name: 'moving-ignored',
    description: 'An election during a change of the ack rule asks only the members of the old rule.',
    file: 'core/src/values/record.ts',
    find: `record.moving === null ? record.rule : weakestMixture(record.rule, record.moving)`,
    replace: `record.rule`,
    withinSeeds: 20,
    nodes: null,
  },
  {
    name: 'rules-judged-apart',
    description: 'An election during a change needs the quorum of each rule, but not what stops a mixture of both.',
    file: 'core/src/values/record.ts',
    find: `  return hasSealQuorum(ruleToStop(record), sealed);`,
    replace: `  return hasSealQuorum(record.rule, sealed) && (record.moving === null || hasSealQuorum(record.moving, sealed));`,
    withinSeeds: 100,
    nodes: null,
  },
  {
    name: 'barrier-skipped',
    description: 'A new ack rule is recorded alone before its members hold what the old rule let through.',
    file: 'core/src/protocol/ackers.ts',
    find: `  return confirmed.length >= target.required;`,
    replace: `  return confirmed.length >= 0;`,
    withinSeeds: 300,
    nodes: null,
  },
  {
    name: 'behind-is-eligible',
    description: 'Whoever is sealed may lead by priority, whether or not it holds everything acknowledged.',
    file: 'core/src/protocol/election.ts',
    find: `  if (lacking !== undefined) {`,
    replace: `  if (lacking !== undefined && obs.now < 0) {`,
    withinSeeds: 100,
    nodes: null,
  },
  {
    name: 'base-forgotten',
    description: 'An election forgets what the leadership it replaces was itself built on.',
    file: 'core/src/protocol/election.ts',
    find: `  return chosenAt === null ? [] : [chosenAt];`,
    replace: `  return chosenAt === null ? [] : [];`,
    withinSeeds: 1000,
    nodes: null,
  },
  {
    name: 'opened-twice',
    description: 'A server that opened and was stopped before that was recorded opens on the same timeline again.',
    file: 'core/src/protocol/leader.ts',
    find: `lineageOf(engine.position) === turn.record.value.lineage;`,
    replace: `turn.obs.now < 0;`,
    withinSeeds: 300,
    nodes: null,
  },
  {
    name: 'attempted-seal-forgotten',
    description: 'A node connects again although a seal that it sent may still arrive in the store.',
    file: 'core/src/protocol/seal.ts',
    find: `  return attempt?.epoch === turn.record.value.epoch && attempt.basis === basisOf(turn);`,
    replace: `  return attempt?.epoch === turn.record.value.epoch && turn.obs.now < 0;`,
    withinSeeds: 2000,
    nodes: null,
  },
];
