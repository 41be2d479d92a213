/** The last snapshot of the store, kept in the run directory for an agent that starts while the store is down. */

import { readFile } from 'node:fs/promises';
import { revision } from '@understudy/base';
import { replaceFile } from '@understudy/base/files';
import type { KeyValue, Snapshot, StoreId } from '@understudy/store';
import { z } from 'zod';

/** A snapshot as a file holds it. */
export const fileSchema = z.object({
  storeId: z.string(),
  revision: z.number(),
  entries: z.array(
    z.object({ key: z.string(), value: z.string(), createRevision: z.number(), modRevision: z.number() }),
  ),
});

export function snapshotOf(parsed: z.output<typeof fileSchema>): Snapshot {
  const entries = parsed.entries.map((entry): [string, KeyValue] => [
    entry.key,
    {
      ...entry,
      createRevision: revision(entry.createRevision),
      modRevision: revision(entry.modRevision),
      lease: null,
    },
  ]);
  return { storeId: parsed.storeId as StoreId, revision: revision(parsed.revision), entries: new Map(entries) };
}

export function fileOf(snapshot: Snapshot, isKept: (key: string) => boolean): z.input<typeof fileSchema> {
  return {
    storeId: snapshot.storeId,
    revision: snapshot.revision,
    entries: [...snapshot.entries.values()]
      .filter(({ key }) => isKept(key))
      .map(({ lease: _lease, ...entry }) => entry),
  };
}

export class MemoryFile {
  readonly #path: string;
  #writing: Promise<void> | null = null;
  #next: Snapshot | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** Null when there is none, or none that can be read. */
  async load(): Promise<Snapshot | null> {
    try {
      return snapshotOf(fileSchema.parse(JSON.parse(await readFile(this.#path, 'utf8'))));
    } catch {
      return null;
    }
  }

  /** Keeps `snapshot`, soon. While one is being written only the newest of the others waits. */
  save(snapshot: Snapshot): void {
    this.#next = snapshot;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
    });
  }

  async close(): Promise<void> {
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#next !== null) {
      const snapshot = this.#next;
      this.#next = null;
      const text = JSON.stringify(fileOf(snapshot, () => true));
      try {
        await replaceFile(this.#path, text);
      } catch {
        // It only helps in a rare case; a full disk must not stop the agent.
      }
    }
  }
}
