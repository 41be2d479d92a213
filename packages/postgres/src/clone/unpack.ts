import { dirname, join, resolve } from 'node:path';
import { EngineError } from '@understudy/engine';
import { makeFolder, type Owner, syncFolder } from '@understudy/engine/host';
import type { UnpackedFile } from './manifest.ts';
import type { TarEntry, TarSink } from './tar.ts';
import { Buffers, FileInTheMaking } from './unpacked-file.ts';

/** Node does this kind of work four at a time: the agent's own files must not wait behind a copy. */
const filesAtOnce = 3;
/** What may be in memory, before the source has to wait. */
const unwrittenBytesMax = 16 * 1024 * 1024;

/**
 * Writes the files of a backup's archive below one folder, and remembers size and checksum of each. The disk works while the network
 * brings more: whoever pushes waits for `room` when it is full.
 */
export class Unpacker implements TarSink {
  readonly files = new Map<string, UnpackedFile>();
  readonly #folders = new Map<string, Promise<void>>();
  readonly #root: string;
  readonly #owner: Owner;
  readonly #buffers = new Buffers();
  #file: FileInTheMaking | null = null;
  readonly #waiting: FileInTheMaking[] = [];
  readonly #writing = new Map<FileInTheMaking, Promise<void>>();
  #unwrittenBytes = 0;
  #failure: { readonly error: unknown } | null = null;
  readonly #waiters: (() => void)[] = [];

  constructor(root: string, owner: Owner) {
    this.#root = root;
    this.#owner = owner;
    this.#folders.set(root, Promise.resolve());
  }

  begin(entry: TarEntry): void {
    if (entry.kind === 'link') {
      const text = `The database has a tablespace outside of its data directory (${entry.name}), which cannot be copied yet.`;
      throw new EngineError('ENGINE_CLONE_FAILED', text, {
        retry: 'unsafe',
        next: 'Move its tables into the default tablespace and drop it.',
      });
    }
    if (entry.kind === 'folder') {
      // Whoever needs it, and `finish`, meet its failure.
      this.#folder(resolve(this.#root, entry.name)).catch(() => undefined);
      return;
    }
    this.#file = new FileInTheMaking(entry.name, entry.sizeBytes, this.#buffers);
    this.#waiting.push(this.#file);
    this.#writeNext();
  }

  data(bytes: Buffer): void {
    this.#unwrittenBytes += bytes.length;
    this.#file?.add(bytes);
  }

  end(): void {
    const file = this.#file;
    if (file === null) return;
    this.#file = null;
    this.files.set(file.name, file.end());
  }

  /** More than enough is in memory: `room` says when that is over. */
  get isFull(): boolean {
    return this.#unwrittenBytes > unwrittenBytesMax || this.#failure !== null;
  }

  /** Waits until less is in memory. @throws what stopped a file from being written */
  room(): Promise<void> {
    return this.#until(() => this.#unwrittenBytes <= unwrittenBytesMax / 2);
  }

  /** Waits until everything survives a loss of power. @throws what stopped a file from being written */
  async finish(): Promise<void> {
    await this.#until(() => this.#writing.size === 0);
    for (const [folder, made] of this.#folders) {
      await made;
      await syncFolder(folder);
    }
  }

  /** Lets go of everything that is unfinished; does not fail. */
  async abandon(): Promise<void> {
    this.#waiting.length = 0;
    for (const file of this.#writing.keys()) file.giveUp();
    await Promise.all(this.#writing.values());
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (this.#failure === null && !isSo()) {
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
      });
    }
    if (this.#failure !== null) throw this.#failure.error;
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  #writeNext(): void {
    if (this.#writing.size >= filesAtOnce || this.#failure !== null) return;
    const file = this.#waiting.shift();
    if (file !== undefined) this.#writing.set(file, this.#write(file));
  }

  /** Never rejects: a failure is for `room` and `finish`. */
  async #write(file: FileInTheMaking): Promise<void> {
    try {
      const path = join(this.#root, file.name);
      await this.#folder(dirname(path));
      await file.write(path, this.#owner, (bytes) => {
        this.#unwrittenBytes -= bytes;
        this.#wake();
      });
    } catch (error) {
      this.#failure ??= { error };
    }
    this.#writing.delete(file);
    this.#writeNext();
    this.#wake();
  }

  /** Makes a folder, once. Whoever comes meanwhile waits: it is not its owner's before that. */
  #folder(path: string): Promise<void> {
    const known = this.#folders.get(path);
    if (known !== undefined) return known;
    const made = this.#makeFolder(path);
    this.#folders.set(path, made);
    return made;
  }

  async #makeFolder(path: string): Promise<void> {
    await this.#folder(dirname(path));
    await makeFolder(path, this.#owner);
  }
}
