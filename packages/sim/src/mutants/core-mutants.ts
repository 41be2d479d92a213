import type { FaultCourse } from '../faults/swarm.ts';
import type { Mutant } from './mutant.ts';

/** An agent dies (or goes on) while its seal is on a slow way to the store, and the leader turns out to be alive. */
const SEAL_UNDER_WAY: readonly FaultCourse['faults'][number][] = [
  { at: 0, kind: 'store-lossy', forMs: 6000, loseRequest: 0, loseReply: 0, loseWatch: 0, extraMs: 6000 },
  { at: 100, kind: 'freeze-host', node: 'leader', forMs: 1900 },
];

const AGENT_DIES_SEALING: FaultCourse = {
  everyMs: 14_000,
  faults: [
    ...SEAL_UNDER_WAY,
    {
      at: 50,
      kind: 'at-command',
      command: 'commit',
      purpose: 'publish seal',
      moment: 'during',
      victim: 'self',
      strike: 'crash-agent',
      forMs: 0,
    },
  ],
};

/**
 * A candidate is frozen just before it takes the leadership. The other sealed node may not lead; the leader is back, so it takes its seal
 * back and acknowledges again. Then the candidate thaws.
 */
const CANDIDATE_FROZEN: FaultCourse = {
  everyMs: 20_000,
  faults: [
    {
      at: 0,
      kind: 'at-command',
      command: 'commit',
      purpose: 'take leadership',
      moment: 'before',
      victim: 'self',
      strike: 'freeze-host',
      forMs: 5000,
    },
    { at: 100, kind: 'isolate', node: 'leader', forMs: 1700, clients: 'kept' },
    { at: 150, kind: 'tags', node: 'follower', change: { nofailover: true } },
    { at: 10_000, kind: 'tags', node: 0, change: { nofailover: false } },
    { at: 10_000, kind: 'tags', node: 1, change: { nofailover: false } },
    { at: 10_000, kind: 'tags', node: 2, change: { nofailover: false } },
  ],
};

/**
 * A leader whose last acker hangs degrades, and cannot write that to the store; it acknowledges alone for long, in `sync`. When it reaches
 * the store again an operator has asked for `async`; then it is lost, and a member that lacks all that is the only one left.
 */
const ASYNC_AFTER_HALF_A_DEGRADE: FaultCourse = {
  everyMs: 150_000,
  faults: [
    {
      at: -20_000,
      kind: 'config',
      change: { durability: 'sync', requiredAcks: 1, whenShort: 'degrade', degradeAfterMs: 500, leaseTtlMs: 6000 },
    },
    ...[0, 1, 2].map((node) => ({
      at: -20_000,
      kind: 'tags' as const,
      node,
      change: { priority: 100, nofailover: false, nosync: false },
    })),
    { at: -12_000, kind: 'switchover', to: 0, timeoutMs: 10_000, scheduledInMs: null },
    { at: 0, kind: 'kill-host', node: 2, forMs: 70_000 },
    { at: 4500, kind: 'slow-reload', node: 0, forMs: 8500, extraMs: 5000 },
    { at: 4600, kind: 'freeze-database', node: 1, forMs: 8400 },
    { at: 10_500, kind: 'cut-store', node: 0, forMs: 19_500, direction: 'both' },
    { at: 16_000, kind: 'cut-pair', node: 0, other: 1, forMs: 54_000 },
    { at: 25_000, kind: 'config', change: { durability: 'async' } },
    { at: 30_600, kind: 'kill-host', node: 0, forMs: 39_400 },
  ],
};

/** The last acker goes; while its leader is still on the way to nobody, another one comes back that the recorded rule does not name. */
const LAST_ACKER_GOES: FaultCourse = {
  everyMs: 60_000,
  faults: [
    { at: 0, kind: 'kill-host', node: 2, forMs: 8000 },
    { at: 3500, kind: 'slow-reload', node: 'leader', forMs: 12_000, extraMs: 6000 },
    { at: 4000, kind: 'kill-host', node: 1, forMs: 20_000 },
  ],
};

/** Wrong variants of the protocol. */
export const CORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'no-seal',
    description: 'A replica publishes its position without cutting its stream first.',
    edits: [
      {
        file: 'core/src/failover/seal.ts',
        find: `  if (quorum !== null) return quorum;
  if (obs.engine.upstream !== null || obs.engine.receiver.kind === 'streaming') {`,
        replace: `  if (quorum !== null) return quorum;
  if (obs.now < 0) {`,
      },
    ],
    hunt: { withinSeeds: 50 },
  },
  {
    name: 'seal-not-verified',
    description:
      'The position is published as soon as the stream was told to end, while the receiver may still be there.',
    edits: [
      {
        file: 'core/src/failover/seal.ts',
        find: `  if (quorum !== null) return quorum;
  if (obs.engine.upstream !== null || obs.engine.receiver.kind === 'streaming') {`,
        replace: `  if (quorum !== null) return quorum;
  if (obs.engine.upstream !== null) {`,
      },
    ],
    hunt: { withinSeeds: 400 },
  },
  {
    name: 'end-published-before-the-stop',
    description: 'A leader that is told to end publishes where it is, and only then stops.',
    edits: [
      {
        file: 'core/src/switchover/planned-stop.ts',
        find: `  if (step === null) {`,
        replace: `  if (step === null && obs.engine.kind === 'primary') return publishSeal(ctx, obs.engine.position, 'handed-over', '');
  if (step === null) {`,
      },
    ],
    hunt: {
      withinSeeds: 100,
      course: {
        everyMs: 25_000,
        faults: [
          { at: 0, kind: 'store-lossy', forMs: 4000, loseRequest: 0, loseReply: 0.5, loseWatch: 0.5, extraMs: 700 },
          { at: 200, kind: 'stop-agent', node: 'leader', forMs: 5000 },
        ],
      },
    },
  },
  {
    name: 'request-clock-starts-anew',
    description: 'How long a request has been pending is forgotten with every decision, so that nobody ever closes it.',
    edits: [
      {
        file: 'core/src/requests/request-end.ts',
        find: `  return known?.id === value.id ? known : {`,
        replace: `  return known?.id === value.id && known.step !== 'seen' ? known : {`,
      },
    ],
    hunt: { withinSeeds: 100 },
  },
  {
    name: 'lsn-as-text',
    description: 'Log positions are compared as the text that people read.',
    edits: [
      {
        file: 'core/src/position/wal.ts',
        find: `(a < b ? -1 : a > b ? 1 : 0)`,
        replace: `(formatLsn(a) < formatLsn(b) ? -1 : formatLsn(a) > formatLsn(b) ? 1 : 0)`,
      },
    ],
    hunt: { withinSeeds: 50 },
  },
  {
    name: 'acker-removed-from-record-first',
    description: 'A new ack rule is recorded alone before the server uses it and before the barrier.',
    edits: [
      {
        file: 'core/src/durability/ack-rule-change.ts',
        find: `{ nextRule: target, durability: whileMoving(ctx) }`,
        replace: `{ rule: target, nextRule: null, durability: whileMoving(ctx) }`,
      },
    ],
    hunt: { withinSeeds: 50 },
  },
  {
    name: 'next-rule-ignored',
    description: 'An election during a change of the ack rule asks only the members of the old rule.',
    edits: [
      {
        file: 'core/src/values/record.ts',
        find: `record.nextRule === null ? record.rule : weakestMixture(record.rule, record.nextRule)`,
        replace: `record.rule`,
      },
    ],
    hunt: { withinSeeds: 50 },
  },
  {
    name: 'rules-judged-apart',
    description: 'An election during a change needs the quorum of each rule, but not what stops a mixture of both.',
    edits: [
      {
        file: 'core/src/values/record.ts',
        find: `  return hasSealQuorum(ruleToStop(record), sealed);`,
        replace: `  return hasSealQuorum(record.rule, sealed) && (record.nextRule === null || hasSealQuorum(record.nextRule, sealed));`,
      },
    ],
    hunt: { withinSeeds: 100 },
  },
  {
    name: 'barrier-skipped',
    description: 'A new ack rule is recorded alone before its members hold what the old rule let through.',
    edits: [
      {
        file: 'core/src/durability/ack-rule-change.ts',
        find: `  return confirmed.length >= target.required;`,
        replace: `  return confirmed.length >= 0;`,
      },
    ],
    hunt: { withinSeeds: 300 },
  },
  {
    name: 'priority-before-position',
    description: 'Among sealed nodes the one with the highest priority leads, however far it had come.',
    edits: [
      {
        file: 'core/src/failover/election.ts',
        find: `  if (lacking !== undefined) {`,
        replace: `  if (lacking !== undefined && obs.now < 0) {`,
      },
      {
        file: 'core/src/failover/ranking.ts',
        find: `  const ahead = relation(a.position, b.position);`,
        replace: `  const ahead: ReturnType<typeof relation> = 'equal';`,
      },
      {
        file: 'core/src/failover/ranking.ts',
        find: `    if (position === null || !proof.base.every((base) => contains(position, base))) continue;`,
        replace: `    if (position === null) continue;`,
      },
    ],
    hunt: { withinSeeds: 50 },
  },
  {
    name: 'base-forgotten',
    description: 'An election forgets what the leadership it replaces was itself built on.',
    edits: [
      {
        file: 'core/src/failover/proof.ts',
        find: `  const built = chosenAt === null ? [] : [chosenAt];`,
        replace: `  const built: Position[] = [];`,
      },
    ],
    hunt: { withinSeeds: 100 },
  },
  {
    name: 'opened-twice',
    description: 'A server that opened and was stopped before that was recorded opens on the same timeline again.',
    edits: [
      {
        file: 'core/src/leader/leader-not-open.ts',
        find: `timelineOf(engine.position) === ctx.record.value.timeline;`,
        replace: `ctx.obs.now < 0;`,
      },
    ],
    hunt: { withinSeeds: 100 },
  },
  {
    name: 'attempted-seal-forgotten',
    description: 'A node connects again although a seal that it sent may still arrive in the store.',
    edits: [
      {
        file: 'core/src/failover/seal.ts',
        find: `  return attempt?.epoch === ctx.record.value.epoch && attempt.basis === basisOf(ctx);`,
        replace: `  return attempt?.epoch === ctx.record.value.epoch && ctx.obs.now < 0;`,
      },
    ],
    hunt: { withinSeeds: 50, durability: 'sync', course: { everyMs: 14_000, faults: SEAL_UNDER_WAY } },
  },
  {
    name: 'session-not-expected',
    description: 'A seal does not expect the session of its own agent: what a dead process sent arrives later.',
    edits: [
      {
        file: 'core/src/failover/seal.ts',
        find: `      { key: \`sessions/\${obs.self}\`, is: session.revision },
`,
        replace: '',
      },
    ],
    hunt: { withinSeeds: 50, durability: 'sync', course: AGENT_DIES_SEALING },
  },
  {
    name: 'incarnation-ignored',
    description: 'An agent takes the session of its dead predecessor for its own.',
    edits: [
      {
        file: 'core/src/context.ts',
        find: `session?.value === ctx.obs.incarnation ? session : null`,
        replace: `session ?? null`,
      },
    ],
    hunt: { withinSeeds: 50, durability: 'sync', course: AGENT_DIES_SEALING },
  },
  {
    name: 'proof-not-expected',
    description: 'A leadership is taken without expecting that the seals it rests on are still there.',
    edits: [
      {
        file: 'core/src/failover/election.ts',
        find: `      ...proof.expect,
`,
        replace: '',
      },
    ],
    hunt: { withinSeeds: 50, nodes: 3, durability: 'sync', course: CANDIDATE_FROZEN },
  },
  {
    name: 'server-before-record',
    description: 'The server counts by a new ack rule before the record knows of it.',
    edits: [
      {
        file: 'core/src/durability/ack-rule-change.ts',
        find: `      commitRecord(ctx, 'begin ack-rule change', { nextRule: target, durability: whileMoving(ctx) }),
      { kind: 'set-ack-rule', rule: target },`,
        replace: `      { kind: 'set-ack-rule', rule: target },
      commitRecord(ctx, 'begin ack-rule change', { nextRule: target, durability: whileMoving(ctx) }),`,
      },
    ],
    hunt: { withinSeeds: 50 },
  },
  {
    name: 'lone-leader-replaced',
    description: 'A leader that was recorded as acknowledging alone can be replaced by whoever is sealed.',
    edits: [
      {
        file: 'core/src/values/ack-rule.ts',
        find: `rule.required === 0 ? Number.POSITIVE_INFINITY :`,
        replace: `rule.required === 0 ? rule.members.length :`,
      },
    ],
    hunt: { withinSeeds: 50 },
  },
  {
    name: 'timeline-counted-locally',
    description: 'A new leader numbers its timeline after its own, not after the record.',
    edits: [
      {
        file: 'core/src/failover/next-numbers.ts',
        find: `Math.max(before.timeline, timelineOf(own) ?? 0, ...heard) + 1 + free`,
        replace: `(timelineOf(own) ?? 0) + 1 + free`,
      },
    ],
    hunt: { withinSeeds: 100 },
  },
  {
    name: 'mute-acker-kept',
    description: 'An acker whose agent is dead stays in the rule although others could acknowledge in its place.',
    edits: [
      {
        file: 'core/src/durability/ack-rule-change.ts',
        find: `  if (unfitness(ctx, member) === null) return false;`,
        replace: `  if (ctx.obs.now > 0) return false;`,
      },
    ],
    hunt: { withinSeeds: 50, nodes: 3, durability: 'sync' },
  },
  {
    name: 'everybody-acknowledges',
    description: 'Every replica becomes an acker, so that each further one makes an election harder.',
    edits: [
      {
        file: 'core/src/durability/eligible-ackers.ts',
        find: `2 * required;`,
        replace: `20 * required;`,
      },
    ],
    hunt: { withinSeeds: 50, nodes: 5, durability: 'sync' },
  },
  {
    name: 'unheard-leader-stays',
    description: 'A leader from which nobody can replicate goes on waiting for acknowledgements.',
    edits: [
      {
        file: 'core/src/leader/unrest.ts',
        find: `if (memory.shortSince === null ||`,
        replace: `if (memory.shortSince === null || obs.now > 0 ||`,
      },
    ],
    hunt: { withinSeeds: 50, nodes: 3, durability: 'sync' },
  },
  {
    name: 'hung-leader-trusted',
    description: 'A leader whose server hangs and cannot be killed is trusted as long as its agent speaks.',
    edits: [
      {
        file: 'core/src/failover/suspicion.ts',
        find: `if (hungMs < limitMs +`,
        replace: `if (ctx.obs.now > 0 || hungMs < limitMs +`,
      },
    ],
    hunt: { withinSeeds: 50, nodes: 3, durability: 'sync' },
  },
  {
    name: 'no-fast-forward',
    description: 'A node that lacks something waits for the one that has it, though that one can never lead.',
    edits: [
      {
        file: 'core/src/failover/election.ts',
        find: `fastForward(ctx, own, proof.base) ??`,
        replace: `null ??`,
      },
    ],
    hunt: { withinSeeds: 100, nodes: 3, durability: 'sync' },
  },
  {
    name: 'floor-from-barrier',
    description: 'What was acknowledged in sync is taken to end at the barrier, however old that is.',
    edits: [
      {
        file: 'core/src/durability/ack-rule-change.ts',
        find: `target.required === 0 ? endOfDurability(ctx, engine.position) : {};`,
        replace: `target.required === 0 ? endOfDurability(ctx, engine.acks.barrier ?? engine.position) : {};`,
      },
    ],
    hunt: { withinSeeds: 20, flavour: 'postgres', nodes: 3, durability: 'sync', course: ASYNC_AFTER_HALF_A_DEGRADE },
  },
  {
    name: 'lock-refuses-rules',
    description: 'On the way to nobody, a leader may count by the recorded rules alone: the way may have no end.',
    edits: [
      {
        file: 'core/src/bootstrap/store-past.ts',
        find: `  if (record.nextRule?.required === 0) return true;`,
        replace: ``,
      },
    ],
    hunt: { withinSeeds: 40, flavour: 'postgres', nodes: 3, durability: 'sync', course: LAST_ACKER_GOES },
  },
  {
    name: 'target-not-preferred',
    description: 'In the election after a planned stop the named target is a candidate as any other.',
    edits: [
      {
        file: 'core/src/failover/ranking.ts',
        find: `  return dueHandover(ctx)?.to ?? null;`,
        replace: `  return ctx.obs.now < 0 ? ctx.obs.self : null;`,
      },
    ],
    hunt: { withinSeeds: 100, nodes: 3, durability: 'sync' },
  },
];
