/** Keeps the note in the data directory as new as what this agent has seen, before anything rests on it. */

import {
  type Command,
  type EngineJob,
  type EngineState,
  mayBeNoted,
  type StoreMark,
  type StoreSighting,
} from '@understudy/core';
import type { Snapshot } from '@understudy/store';
import { decodeSnapshot } from '../codec/content.ts';
import { messageOf } from '../errors.ts';
import { markOf, type StoreLink } from './link.ts';
import type { NoteFile } from './note-file.ts';

/** What makes a leadership or a rule count: whoever does it has to remember it through a loss of power. */
const RELYING = new Set<Command['kind']>(['promote', 'set-ack-rule', 'follow']);
/** While one of these runs, what lies there is not this member's data yet. */
const MAKING = new Set<EngineJob['kind']>(['initialize', 'clone', 'rewind']);

export class Noting {
  readonly #file: NoteFile;
  readonly #link: StoreLink;
  #problem: string | null = null;

  constructor(file: NoteFile, link: StoreLink) {
    this.#file = file;
    this.#link = link;
  }

  /** A standing warning: why the note cannot be written. Null when it can. */
  get problem(): string | null {
    return this.#problem;
  }

  load(): Promise<Snapshot | null> {
    return this.#file.load();
  }

  /** What stands there now. */
  standing(): Promise<StoreSighting | null> {
    return this.#file.standing(markIn);
  }

  /** To be called before `command`: it is not given when this rejects. @throws AgentError `NOTE_UNWRITABLE` */
  async before(command: Command, engine: EngineState, job: EngineJob | null): Promise<void> {
    if (RELYING.has(command.kind)) await this.#keep(engine, job);
  }

  /** Whenever a turn has ended. Never throws. */
  async after(engine: EngineState, job: EngineJob | null): Promise<void> {
    await this.#keep(engine, job).catch(() => undefined);
  }

  async #keep(engine: EngineState, job: EngineJob | null): Promise<void> {
    const { known, snapshot } = this.#link;
    if (known === null || snapshot === null || this.#link.view().kind !== 'current') return;
    if (engine.kind === 'absent' || engine.kind === 'incomplete' || engine.kind === 'refused') return;
    if (job !== null && MAKING.has(job.kind)) return;
    if (!mayBeNoted(known, await this.standing(), engine)) return;
    try {
      await this.#file.keep(snapshot, known);
      this.#problem = null;
    } catch (error) {
      this.#problem = messageOf(error);
      throw error;
    }
  }
}

function markIn(snapshot: Snapshot): StoreMark | null {
  try {
    return markOf(snapshot, decodeSnapshot(snapshot));
  } catch {
    // Written by a newer version: it says nothing to this one.
    return null;
  }
}
