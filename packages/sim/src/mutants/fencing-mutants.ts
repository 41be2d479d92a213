import type { FaultCourse } from '../faults/swarm.ts';
import type { Mutant } from './mutant.ts';

/** A leader is cut off from all but its clients, and its agent dies: only the guard knows when its time is up. */
const AGENT_DIES_CUT_OFF: FaultCourse = {
  everyMs: 40_000,
  faults: [
    { at: 0, kind: 'isolate', node: 'leader', forMs: 25_000, clients: 'kept' },
    { at: 2000, kind: 'kill-agent', node: 'leader' },
  ],
};

const AGENT_FROZEN: FaultCourse = {
  everyMs: 20_000,
  faults: [{ at: 0, kind: 'freeze-agent', node: 'leader', forMs: 6000 }],
};

/** Wrong rules of when a server is killed and when an agent counts as frozen. */
export const FENCING_MUTANTS: readonly Mutant[] = [
  {
    name: 'primary-without-deadline',
    description: 'A primary is guarded, and nothing is said of when its time is up.',
    edits: [
      {
        file: 'core/src/fencing/kill-order.ts',
        find: `return { server, untilMs: authority.until, certainty: 'decided' };`,
        replace: `return { server, untilMs: null, certainty: 'decided' };`,
      },
    ],
    hunt: { withinSeeds: 20, flavour: 'postgres', nodes: 3, durability: 'async', course: AGENT_DIES_CUT_OFF },
  },
  {
    name: 'new-agent-prolongs',
    description: 'A new agent that has decided nothing yet lifts the deadline that the one before it had set.',
    edits: [
      {
        file: 'core/src/fencing/kill-order.ts',
        find: `  if (told.certainty === 'decided' || held.server === null || held.untilMs === null) return told;`,
        replace: `  if (told.certainty !== null || held.server === null || held.untilMs === null) return told;`,
      },
    ],
    hunt: { withinSeeds: 20, flavour: 'postgres', nodes: 3, durability: 'async', course: AGENT_DIES_CUT_OFF },
  },
  {
    name: 'killed-late',
    description: 'The guard grants a server some seconds beyond its time.',
    edits: [
      {
        file: 'core/src/fencing/kill-order.ts',
        find: `nowMs < untilMs ?`,
        replace: `nowMs < untilMs + 5000 ?`,
      },
    ],
    hunt: { withinSeeds: 20, flavour: 'postgres', nodes: 3, durability: 'async', course: AGENT_DIES_CUT_OFF },
  },
  {
    name: 'frozen-agent-kept',
    description: 'A guard waits for a stopped agent for as long as for one that computes.',
    edits: [
      {
        file: 'core/src/fencing/frozen-agent.ts',
        find: `  if (state === 'T' || state === 't') return STOPPED_MS;`,
        replace: `  if (state === 'T' || state === 't') return BUSY_MS;`,
      },
    ],
    hunt: { withinSeeds: 20, nodes: 3, course: AGENT_FROZEN },
  },
];
