import type { Memory } from '../decide/state.ts';
import { type PairEvent, type PairFile, withEvent, writePairFile } from './pair-file.ts';

/** The pair's file, as the running supervisor keeps it: every change is on disk before anything follows from it. */
export class Ledger {
  readonly folder: string;
  #file: PairFile;
  readonly #onEvent: (event: PairEvent) => void;

  constructor(folder: string, file: PairFile, onEvent: (event: PairEvent) => void) {
    this.folder = folder;
    this.#file = file;
    this.#onEvent = onEvent;
  }

  get file(): PairFile {
    return this.#file;
  }

  get memory(): Memory {
    const { active, writers, apart, uncompared = null } = this.#file;
    return { active, writers, apart, uncompared };
  }

  /** Changes what the pair decides by, and says why. */
  async record(change: Partial<Memory>, tone: PairEvent['tone'], text: string): Promise<void> {
    await this.#write(changed(this.#file, change), tone, text);
  }

  /** Notes what has happened. */
  async tell(tone: PairEvent['tone'], text: string): Promise<void> {
    await this.#write(this.#file, tone, text);
  }

  /** The two receive from each other: neither holds anything that the other went on without. Nothing is said of it. */
  async compared(): Promise<void> {
    if (this.memory.uncompared === null) return;
    const next = changed(this.#file, { uncompared: null });
    await writePairFile(this.folder, next);
    this.#file = next;
  }

  async #write(file: PairFile, tone: PairEvent['tone'], text: string): Promise<void> {
    const event: PairEvent = { at: new Date().toISOString(), tone, text };
    const next = withEvent(file, event);
    await writePairFile(this.folder, next);
    this.#file = next;
    this.#onEvent(event);
  }
}

/** The file has `uncompared` only while there is one: versions before it read the rest of the time what this one writes. */
function changed(
  { uncompared: before, ...file }: PairFile,
  { uncompared = before ?? null, ...change }: Partial<Memory>,
): PairFile {
  return { ...file, ...change, ...(uncompared === null ? {} : { uncompared }) };
}
