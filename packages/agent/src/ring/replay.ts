import { codeOf, reasonOf } from '@understudy/base';
/** Decides an incident again: reads a decision ring and compares what was decided then with what this version decides. */

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Decision, decide, EMPTY_MEMORY, type Observation } from '@understudy/core';
import { AgentError } from '../errors.ts';
import { fromText, toText } from './json.ts';
import { decisionShape, RING_VERSION, type RingEntry } from './ring.ts';
import { fromVersion1 } from './upgrade.ts';

export interface ReplayedDecision {
  /** Line of the file, from 1. */
  readonly line: number;
  readonly wallMs: number;
  readonly observation: Observation;
  readonly recorded: Decision;
  readonly again: Decision;
  /** `same`, or what differs: the decision itself, or only texts and memory. */
  readonly verdict: 'same' | 'details-differ' | 'differs';
}

/**
 * Reads a ring file and decides every entry again.
 * @param onDecision called for each, in order
 * @returns how many there were and how many differ
 * @throws AgentError `RING_INVALID`, `CONFIG_UNREADABLE`
 */
export async function replay(
  file: string,
  onDecision: (decision: ReplayedDecision) => void,
): Promise<{ readonly decisions: number; readonly differing: number }> {
  const lines = createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY });
  let line = 0;
  let differing = 0;
  try {
    for await (const text of lines) {
      line++;
      if (text === '') continue;
      const replayed = replayOne(parseEntry(text, file, line), line);
      if (replayed.verdict === 'differs') differing++;
      onDecision(replayed);
    }
  } catch (cause) {
    if (cause instanceof AgentError) throw cause;
    const code = codeOf(cause) ?? reasonOf(cause);
    throw new AgentError('CONFIG_UNREADABLE', `${file}: cannot be read (${code}).`, {
      next: 'Correct the path.',
      cause,
    });
  }
  return { decisions: line, differing };
}

function replayOne(entry: RingEntry, line: number): ReplayedDecision {
  const { observation, memory, decision: recorded } = entry;
  // What an earlier version did not remember yet, it had not seen.
  const again = decide(observation, { ...EMPTY_MEMORY, ...memory });
  const verdict =
    decisionShape(again) !== decisionShape(recorded)
      ? 'differs'
      : toText(again) === toText(recorded)
        ? 'same'
        : 'details-differ';
  return { line, wallMs: observation.wallMs, observation, recorded, again, verdict };
}

function parseEntry(text: string, file: string, line: number): RingEntry {
  let value: unknown;
  try {
    value = ofThisVersion(fromText(text));
  } catch {
    throw new AgentError('RING_INVALID', `${file}:${line}: is not a recorded decision (not JSON).`);
  }
  if (isEntry(value)) return value;
  throw new AgentError('RING_INVALID', `${file}:${line}: is not a decision that this version can read.`);
}

/** Entries of the version before are read too: an incident is often looked at after the upgrade that should end it. */
function ofThisVersion(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('version' in value) || value.version !== 1) return value;
  return { ...fromVersion1(value), version: RING_VERSION };
}

/** The file is written by this program alone; what is checked is that it is such a file, of this version. */
function isEntry(value: unknown): value is RingEntry {
  if (typeof value !== 'object' || value === null) return false;
  if (!('version' in value) || value.version !== RING_VERSION) return false;
  return ['observation', 'memory', 'decision'].every((key) => typeof Reflect.get(value, key) === 'object');
}
