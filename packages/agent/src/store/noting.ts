import { reasonOf } from '@understudy/base';
/** Keeps the note in the data directory as new as what this agent has seen, before anything rests on it. */

import {
  type Command,
  type EngineJob,
  type EngineState,
  mayBeNoted,
  needsNote,
  restsOn,
  type StoreMark,
  type StoreSighting,
} from '@understudy/core';
import type { Snapshot } from '@understudy/store';
import { decodeSnapshot } from '../codec/content.ts';
import { AgentError } from '../errors.ts';
import { markOf, type StoreLink } from './link.ts';
import type { NoteFile } from './note-file.ts';

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

  /**
   * To be called before `command`: it is not given when this rejects. A commit may have been applied although nothing could be read after
   * it: then what the command rests on is not known here yet, and cannot be noted.
   * @throws AgentError `NOTE_UNWRITABLE`, `NOTE_UNKNOWN`
   */
  async before(command: Command, engine: EngineState, job: EngineJob | null): Promise<void> {
    if (!needsNote(command)) return;
    const known = this.#link.view().kind === 'current' ? this.#link.known : null;
    if (known === null || !restsOn(command, known)) throw unknown(command);
    if ((await this.#keep(engine, job)) === 'not-noted') throw unknown(command);
  }

  /** Whenever a turn has ended. Never throws. */
  async after(engine: EngineState, job: EngineJob | null): Promise<void> {
    await this.#keep(engine, job).catch(() => undefined);
  }

  async #keep(engine: EngineState, job: EngineJob | null): Promise<'noted' | 'not-noted'> {
    const { known, snapshot } = this.#link;
    if (known === null || snapshot === null || this.#link.view().kind !== 'current') return 'not-noted';
    if (engine.kind === 'absent' || engine.kind === 'incomplete' || engine.kind === 'refused') return 'not-noted';
    if (job !== null && MAKING.has(job.kind)) return 'not-noted';
    if (!mayBeNoted(known, await this.standing(), engine)) return 'not-noted';
    try {
      await this.#file.keep(snapshot, known);
      this.#problem = null;
      return 'noted';
    } catch (error) {
      this.#problem = reasonOf(error);
      throw error;
    }
  }
}

function unknown({ kind }: Command): AgentError {
  const text = `What "${kind}" rests on has not been read from the store yet, so it cannot be noted: "${kind}" is not done.`;
  return new AgentError('NOTE_UNKNOWN', text, { next: 'It is decided again when the store answers.' });
}

function markIn(snapshot: Snapshot): StoreMark | null {
  try {
    return markOf(snapshot, decodeSnapshot(snapshot));
  } catch {
    // Written by a newer version: it says nothing to this one.
    return null;
  }
}
