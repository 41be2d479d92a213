/** A bounded record of decisions with everything they were made on, so that an incident can be decided again afterwards. */

import { appendFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Decision, Memory, Observation } from '@understudy/core';
import { toText } from './json.ts';

export const RING_FILE = 'decisions.ndjson';
export const OLD_RING_FILE = 'decisions.1.ndjson';
const MAX_QUEUED = 64;
/** Even without a change one is written this often, for the state in which an incident began. */
const EVERY_MS = 60_000;

/** In version 1 `nextRule` was `moving`, `timeline` was `lineage`. */
export const RING_VERSION = 2;

export interface RingEntry {
  readonly version: typeof RING_VERSION;
  readonly observation: Observation;
  /** What was remembered before the decision. */
  readonly memory: Memory;
  readonly decision: Decision;
}

export class DecisionRing {
  readonly #folder: string;
  readonly #maxBytes: number;
  #bytes: number | null = null;
  #queue: string[] = [];
  #writing: Promise<void> | null = null;
  #shape = '';
  #writtenAtMs = Number.NEGATIVE_INFINITY;

  /** @param maxBytes limit of both files together */
  constructor(folder: string, maxBytes: number) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** Notes a decision, if it differs from the last one that was noted, or that one is a minute old. */
  note(observation: Observation, memory: Memory, decision: Decision): void {
    const shape = decisionShape(decision);
    if (shape === this.#shape && observation.now - this.#writtenAtMs < EVERY_MS) return;
    this.#shape = shape;
    this.#writtenAtMs = observation.now;
    if (this.#queue.length >= MAX_QUEUED) this.#queue.shift();
    const entry: RingEntry = { version: RING_VERSION, observation, memory, decision };
    this.#queue.push(`${toText(entry)}\n`);
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null;
    });
  }

  async close(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    const file = join(this.#folder, RING_FILE);
    while (this.#queue.length > 0) {
      const text = this.#queue.join('');
      this.#queue = [];
      try {
        this.#bytes ??= await sizeOf(file);
        if (this.#bytes > this.#maxBytes / 2) {
          await rename(file, join(this.#folder, OLD_RING_FILE));
          this.#bytes = 0;
        }
        await appendFile(file, text, { mode: 0o600 });
        this.#bytes += Buffer.byteLength(text);
      } catch {
        // A full disk must not stop the agent; the next decision is tried again.
      }
    }
  }
}

/** What makes two decisions the same in the eyes of people: what is done, said and claimed, not when. */
export function decisionShape(decision: Decision): string {
  return JSON.stringify([
    decision.reasons.map(({ code }) => code),
    decision.commands.map((command) => (command.kind === 'commit' ? `commit ${command.purpose}` : command.kind)),
    decision.suspects,
    decision.authority.kind,
  ]);
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch {
    return 0;
  }
}
