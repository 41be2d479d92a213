import { basename, dirname, join } from 'node:path';
import { monotonicMs } from '@understudy/base';
import { type KeptBudget, type KeptFolder, planKept } from '@understudy/core';
import { EngineError, type KeptListing, type KeptSummary } from '../index.ts';
import { type KeptNote, keptNoteName, linkedLogOf, removeData, siblings } from './aside.ts';
import { entryAt, readIfThere, syncFolder } from './files.ts';
import { PathError } from './reach.ts';
import { folderBytes } from './tree.ts';

/** Nobody but an operator changes what is kept, and to measure a large folder takes a while. */
const lookEveryMs = 60_000;
const noNote = 'it has no note: it was kept by an earlier version, or a crash came before the note';
const mebi = 1024 ** 2;

type Warn = (message: string, fields: Readonly<Record<string, unknown>>) => void;

/** What is kept beside one data directory, within a budget that never takes what may be the only copy. */
export class KeptFolders {
  readonly #dataDir: string;
  readonly #budget: KeptBudget;
  readonly #warn: Warn;
  #summary: KeptSummary = { folders: 0, bytes: 0, held: null };
  #lookedMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> = Promise.resolve();
  #isLooking = false;

  /** @param warn is told what goes, and what could not be looked at. */
  constructor(dataDir: string, budget: KeptBudget, warn: Warn) {
    this.#dataDir = dataDir;
    this.#budget = budget;
    this.#warn = warn;
  }

  /** As of the last look. */
  get summary(): KeptSummary {
    return this.#summary;
  }

  /** Begins a look in the background when the last one is old. Nobody waits for it but `close`. */
  refresh(): void {
    if (this.#isLooking || monotonicMs() - this.#lookedMs < lookEveryMs) return;
    this.#isLooking = true;
    this.#looking = this.tidy().finally(() => {
      this.#isLooking = false;
    });
  }

  /** Looks, and lets go of what may go. Failures are logged: nothing depends on it. */
  async tidy(): Promise<void> {
    try {
      const { remove } = planKept(await this.list(), this.#budget);
      for (const name of remove) {
        await removeData(join(dirname(this.#dataDir), name), this.#dataDir);
        this.#warn(`${name} is gone: all that it held is in the cluster's history, and the budget needs its room.`, {});
      }
      this.#note(await this.list());
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#warn('What is kept beside the data directory could not be looked at.', { reason });
    }
    this.#lookedMs = monotonicMs();
  }

  /** Resolves when no look is under way. */
  async close(): Promise<void> {
    await this.#looking;
  }

  /** Oldest first. */
  async list(): Promise<readonly KeptListing[]> {
    const found: KeptListing[] = [];
    for (const kind of ['aside', 'fork'] as const) {
      for (const path of await siblings(this.#dataDir, kind)) found.push(await listingOf(path, kind));
    }
    return found;
  }

  /**
   * Removes one, on an operator's word.
   *
   * @throws EngineError `ENGINE_DATA_REFUSED` when there is none of that name.
   */
  async remove(name: string): Promise<KeptListing> {
    const folders = await this.list();
    const found = folders.find((folder) => folder.name === name);
    if (found === undefined) {
      const names = folders.map((folder) => folder.name).join(', ');
      const text = `Nothing of the name ${name} is kept here (${names === '' ? 'nothing is' : names}).`;
      throw new EngineError('ENGINE_DATA_REFUSED', text);
    }
    await removeData(found.path, this.#dataDir);
    await syncFolder(dirname(found.path));
    this.#warn(`${found.path} was removed on an operator's word.`, { bytes: found.bytes });
    this.#note(await this.list());
    return found;
  }

  #note(folders: readonly KeptListing[]): void {
    const { holding, heldBytes } = planKept(folders, this.#budget);
    const bytes = folders.reduce((sum, folder) => sum + folder.bytes, 0);
    const held = holding.length === 0 ? null : heldText(folders, holding, heldBytes, this.#budget.maxBytes);
    this.#summary = { folders: folders.length, bytes, held };
  }
}

function heldText(folders: readonly KeptListing[], names: readonly string[], bytes: number, maxBytes: number): string {
  const paths = folders.filter(({ name }) => names.includes(name)).map(({ path }) => path);
  const which = paths.length > 3 ? `${paths.slice(0, 3).join(', ')} and ${paths.length - 3} more` : paths.join(', ');
  const size = `${Math.ceil(bytes / mebi)} MiB of replaced data is kept here, more than asideBudgetBytes (${Math.floor(maxBytes / mebi)} MiB)`;
  return `${size}: ${which}. It may be the only copy of what it holds, so it stays, and no further copy is made by itself. Look at it, then remove it: understudy aside remove.`;
}

async function listingOf(path: string, kind: KeptFolder['kind']): Promise<KeptListing> {
  // A note that is not to be trusted is none: then all of it may be the only copy.
  const text = await readIfThere(join(path, keptNoteName)).catch((error: unknown) => {
    if (error instanceof PathError) return null;
    throw error;
  });
  const note = parseNote(text);
  const log = await linkedLogOf(path);
  const bytes = (await folderBytes(path)) + (log === null ? 0 : await folderBytes(log));
  const noted = note?.since ?? Number.NaN;
  const since = Number.isNaN(noted) ? ((await entryAt(path))?.mtimeMs ?? 0) : noted;
  return {
    name: basename(path),
    path,
    kind,
    bytes,
    history: note?.history ?? 'unproven',
    why: note?.why ?? noNote,
    sinceWallMs: Math.round(since),
  };
}

/** Null for a note that is not there, or damaged. */
function parseNote(text: string | null): (KeptNote & { readonly since: number }) | null {
  try {
    const note: unknown = JSON.parse(text ?? 'null');
    if (typeof note !== 'object' || note === null || !('why' in note) || !('history' in note)) return null;
    const { why, history } = note;
    if (typeof why !== 'string' || (history !== 'contained' && history !== 'unproven')) return null;
    const since = 'since' in note && typeof note.since === 'string' ? Date.parse(note.since) : Number.NaN;
    return { why, history, since };
  } catch {
    return null;
  }
}
