import { codeOf, reasonOf } from '@understudy/base';
/**
 * The note in the server's data directory: the newest leadership that this member has seen, and in which store, synced. It goes
 * where the data goes, and survives a loss of power; with it a store that was put back is told from one that goes on.
 */

import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { type MemberId, type StoreMark, type StoreSighting, sightingOf } from '@understudy/core';
import { entryAt, type Owner, readIfThere, replaceWith } from '@understudy/engine/host';
import type { Snapshot } from '@understudy/store';
import { z } from 'zod';
import { AgentError } from '../errors.ts';
import { fileOf, fileSchema, snapshotOf } from './memory-file.ts';

/** A note is a small part of a store. */
const NOTE_BYTES_MAX = 64 * 1024 * 1024;

/** In the data directory of every engine; none of them minds a file that it does not know. */
export const NOTE_FILE = 'understudy.note.json';

const noteSchema = fileSchema.extend({ member: z.string() });

/** What of the store is needed to write it back: the rest comes from running agents, or is of no weight. */
const isKept = (key: string): boolean =>
  key === 'identity' ||
  key === 'record' ||
  key === 'config' ||
  key.startsWith('members/') ||
  key.startsWith('history/');

/** Which leadership is noted: of the same one nothing is written twice. */
interface Noted {
  readonly sighting: StoreSighting;
  /** Which file it is, as it was written: a rewind or a new copy puts another one there. */
  readonly file: string;
}

export class NoteFile {
  readonly #folder: string;
  readonly #member: MemberId;
  #noted: Noted | null = null;

  /** @param dataDir the server's data directory; the note is written only where there is data */
  constructor(dataDir: string, member: MemberId) {
    this.#folder = dataDir;
    this.#member = member;
  }

  get path(): string {
    return join(this.#folder, NOTE_FILE);
  }

  async #owner(): Promise<Owner> {
    const folder = process.geteuid?.() === 0 ? await entryAt(this.#folder) : null;
    return folder === null ? null : { uid: folder.uid, gid: folder.gid };
  }

  /** What this member noted; null when there is nothing, or only what came along with a copy of another member's data. */
  async load(): Promise<Snapshot | null> {
    try {
      const parsed = noteSchema.parse(JSON.parse((await readIfThere(this.path, NOTE_BYTES_MAX)) ?? 'null'));
      return parsed.member === this.#member ? snapshotOf(parsed) : null;
    } catch {
      return null;
    }
  }

  /** What stands there, by the file as it is now: a copy or a rewind may have replaced it since it was written. */
  async standing(markIn: (snapshot: Snapshot) => StoreMark | null): Promise<StoreSighting | null> {
    const file = await fileAt(this.path);
    if (file === null) this.#noted = null;
    else if (this.#noted?.file !== file) {
      const snapshot = await this.load();
      const mark = snapshot === null ? null : markIn(snapshot);
      this.#noted = mark === null ? null : { sighting: sightingOf(mark), file };
    }
    return this.#noted?.sighting ?? null;
  }

  /**
   * Writes down what `snapshot` says, unless it stands there already. Durable when it resolves.
   * @throws AgentError `NOTE_UNWRITABLE`
   */
  async keep(snapshot: Snapshot, mark: StoreMark): Promise<void> {
    const sighting = sightingOf(mark);
    const standing = this.#noted;
    if (standing !== null && isSame(standing.sighting, sighting) && (await fileAt(this.path)) === standing.file) return;
    try {
      const text = JSON.stringify({ member: this.#member, ...fileOf(snapshot, isKept) });
      // It belongs to the owner of the folder: the server's own tools copy all that is there, and have to be able to read it.
      const file = await replaceWith(this.path, await this.#owner(), {}, async (draft) => {
        await draft.writeFile(text);
        return nameOf(await draft.stat());
      });
      this.#noted = { sighting, file };
    } catch (cause) {
      const text = `${this.path}: cannot be written (${codeOf(cause) ?? reasonOf(cause)}). What has to be noted first is not done.`;
      throw new AgentError('NOTE_UNWRITABLE', text, { next: 'Free space, or correct the permissions.', cause });
    }
  }
}

function isSame(a: StoreSighting, b: StoreSighting): boolean {
  return a.storeId === b.storeId && a.epoch === b.epoch && a.revision === b.revision;
}

const nameOf = ({ ino, mtimeMs }: Stats): string => `${ino} ${mtimeMs}`;

async function fileAt(path: string): Promise<string | null> {
  const entry = await entryAt(path).catch(() => null);
  return entry === null ? null : nameOf(entry);
}
