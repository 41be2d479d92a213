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
    const { active, writers, apart } = this.#file;
    return { active, writers, apart };
  }

  /** Changes what the pair decides by, and says why. */
  async record(change: Partial<Memory>, tone: PairEvent['tone'], text: string): Promise<void> {
    await this.#write({ ...this.#file, ...change }, tone, text);
  }

  /** Notes what has happened. */
  async tell(tone: PairEvent['tone'], text: string): Promise<void> {
    await this.#write(this.#file, tone, text);
  }

  async #write(file: PairFile, tone: PairEvent['tone'], text: string): Promise<void> {
    const event: PairEvent = { at: new Date().toISOString(), tone, text };
    const next = withEvent(file, event);
    await writePairFile(this.folder, next);
    this.#file = next;
    this.#onEvent(event);
  }
}
