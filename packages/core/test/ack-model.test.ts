/**
 * Goal: whatever crashes at whatever point of a change of ackers, every acknowledged write is on somebody whom the next election must
 * ask (C10). Method: all interleavings of small clusters, see `support/ack-model.ts`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AckRule,
  type Command,
  decide,
  hasSealQuorum,
  type LeadershipRecord,
  type MemberId,
  type Observation,
} from '../src/index.ts';
import { explore, REAL, type Scenario, type Subject } from './support/ack-model.ts';
import { any, n2, n3, n4 } from './support/build.ts';
import { at } from './support/positions.ts';

const STATES_MAX = 400_000;

function scenario(rule: AckRule, there: readonly MemberId[], change: Partial<Scenario> = {}): Scenario {
  return {
    rule,
    there,
    requiredAcks: Math.max(1, rule.required),
    whenShort: 'block',
    budget: { moves: 1, configs: 0, restarts: 0, unknowns: 0 },
    ...change,
  };
}

const scenarios: readonly (readonly [string, Scenario])[] = [
  ['a cluster is being built: from none to two ackers', scenario(any(0), [n2, n3])],
  ['a third acker arrives', scenario(any(1, n2, n3), [n2, n3, n4])],
  ['an acker goes', scenario(any(1, n2, n3), [n2, n3], { budget: { moves: 2, configs: 0, restarts: 0, unknowns: 0 } })],
  ['both go: block', scenario(any(1, n2, n3), [n2], { budget: { moves: 2, configs: 0, restarts: 0, unknowns: 0 } })],
  [
    'both go: degrade',
    scenario(any(1, n2, n3), [n2], {
      whenShort: 'degrade',
      budget: { moves: 2, configs: 0, restarts: 0, unknowns: 0 },
    }),
  ],
  ['one is exchanged for another, two acks', scenario(any(2, n2, n3), [n3, n4])],
  ['two acks of three, one goes', scenario(any(2, n2, n3, n4), [n2, n3, n4])],
  ['two acks of two, one goes: degrade', scenario(any(2, n2, n3), [n2, n3], { whenShort: 'degrade' })],
  [
    'the required acks or the durability change',
    scenario(any(1, n2, n3), [n2, n3], { budget: { moves: 0, configs: 2, restarts: 0, unknowns: 0 } }),
  ],
  [
    'the required acks change while an acker goes',
    scenario(any(1, n2, n3), [n2, n3], { budget: { moves: 1, configs: 1, restarts: 0, unknowns: 0 } }),
  ],
  [
    'a change whose commits arrive late, with a new agent in between',
    scenario(any(1, n2), [n2, n3], { budget: { moves: 0, configs: 0, restarts: 1, unknowns: 1 } }),
  ],
  [
    'degrading with a commit that arrives late',
    scenario(any(1, n2), [n2], { whenShort: 'degrade', budget: { moves: 2, configs: 0, restarts: 0, unknowns: 1 } }),
  ],
  [
    'the new ackers go and the old ones return, with a commit that arrives late',
    scenario(any(1, n2, n3), [n3], { budget: { moves: 2, configs: 0, restarts: 0, unknowns: 1 } }),
  ],
];

for (const [name, each] of scenarios) {
  test(`no interleaving loses an acknowledged write: ${name}`, (context) => {
    const { states, violation } = explore(each, REAL, STATES_MAX);
    assert.equal(violation, null, violation?.join('\n'));
    context.diagnostic(`${states} states`);
    assert.ok(states > 100, 'the model explores something');
  });
}

// The model is worth something only if it finds what is wrong: each rule of the order is broken once.

const changed = (
  commands: readonly Command[],
  change: (record: LeadershipRecord) => LeadershipRecord,
): readonly Command[] =>
  commands.map((command) =>
    command.kind !== 'commit'
      ? command
      : {
          ...command,
          put: command.put.map((put) => (put.key === 'record' ? { key: 'record', value: change(put.value) } : put)),
        },
  );

const withCommands = (alter: (commands: readonly Command[]) => readonly Command[]): Subject => ({
  ...REAL,
  decide: (observation, memory) => {
    const decision = decide(observation, memory);
    return { ...decision, commands: alter(decision.commands) };
  },
});

/** The barrier counts as passed as soon as the rule is proven. */
function withoutBarrier(observation: Observation): Observation {
  const { engine } = observation;
  if (engine.kind !== 'primary' || engine.acks.running === null) return observation;
  return { ...observation, engine: { ...engine, acks: { ...engine.acks, barrier: at(5, 4200) } } };
}

const mutants: readonly (readonly [string, Subject, Scenario])[] = [
  [
    'the new rule is recorded before the server counts by it',
    withCommands((commands) =>
      changed(commands, (each) => (each.nextRule === null ? each : { ...each, rule: each.nextRule, nextRule: null })),
    ),
    scenario(any(1, n2), [n2, n3]),
  ],
  [
    'the server counts by the new rule before it is recorded',
    withCommands((commands) => [...commands].reverse()),
    scenario(any(1, n2), [n2, n3]),
  ],
  [
    'the change ends without the barrier',
    { ...REAL, decide: (observation, memory) => decide(withoutBarrier(observation), memory) },
    scenario(any(1, n2, n3), [n2, n3]),
  ],
  [
    'during a change a quorum of each rule is enough',
    {
      ...REAL,
      suffices: ({ rule, nextRule }, sealed) =>
        hasSealQuorum(rule, sealed) && (nextRule === null || hasSealQuorum(nextRule, sealed)),
    },
    scenario(any(1, n2), [n2, n3], { requiredAcks: 2 }),
  ],
  [
    'an end of the change that may still arrive is forgotten',
    { ...REAL, decide: (observation, memory) => decide(observation, { ...memory, finishing: null }) },
    scenario(any(1, n2, n3), [n3], { budget: { moves: 2, configs: 0, restarts: 0, unknowns: 1 } }),
  ],
];

for (const [name, subject, each] of mutants) {
  test(`the model notices when ${name}`, (context) => {
    const { states, violation } = explore(each, subject, STATES_MAX);
    assert.notEqual(violation, null);
    context.diagnostic(`after ${states} states: ${violation?.join('; ')}`);
  });
}
