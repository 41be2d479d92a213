import { chown, type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EngineError } from '@understudy/engine';
import { type Owner, syncFolder } from '@understudy/engine/host';
import { crc32c } from '../disk/crc32c.ts';
import type { UnpackedFile } from './manifest.ts';
import type { TarEntry, TarSink } from './tar.ts';

const syncAtOnce = 8;
/** The server sends small pieces; each call of the system costs as much as writing one of them. */
const writeBytes = 4 * 1024 * 1024;

/** Writes the files of a backup's archive below one folder, and remembers size and checksum of each. */
export class Unpacker implements TarSink {
  readonly files = new Map<string, UnpackedFile>();
  readonly #folders = new Set<string>();
  readonly #root: string;
  readonly #owner: Owner;
  #file: { readonly name: string; readonly handle: FileHandle } | null = null;
  #sizeBytes = 0;
  #checksum = 0;
  #unwritten: Buffer[] = [];
  #unwrittenBytes = 0;

  constructor(root: string, owner: Owner) {
    this.#root = root;
    this.#owner = owner;
    this.#folders.add(root);
  }

  async begin(entry: TarEntry): Promise<void> {
    const path = join(this.#root, entry.name);
    if (entry.kind === 'link') {
      const text = `The database has a tablespace outside of its data directory (${entry.name}), which cannot be copied yet.`;
      throw new EngineError(
        'ENGINE_CLONE_FAILED',
        `${text} Move its tables into the default tablespace and drop it.`,
        'unsafe',
      );
    }
    await this.#folder(entry.kind === 'folder' ? path : dirname(path));
    if (entry.kind === 'folder') return;
    const handle = await open(path, 'w', 0o600);
    this.#file = { name: entry.name, handle };
    this.#sizeBytes = 0;
    this.#checksum = 0;
    if (this.#owner !== null) await handle.chown(this.#owner.uid, this.#owner.gid);
  }

  async #folder(path: string): Promise<void> {
    if (this.#folders.has(path)) return;
    await this.#folder(dirname(path));
    await mkdir(path, { mode: 0o700, recursive: true });
    if (this.#owner !== null) await chown(path, this.#owner.uid, this.#owner.gid);
    this.#folders.add(path);
  }

  async data(bytes: Buffer): Promise<void> {
    const file = this.#file;
    if (file === null) return;
    this.#unwritten.push(bytes);
    this.#unwrittenBytes += bytes.length;
    this.#sizeBytes += bytes.length;
    this.#checksum = crc32c(bytes, this.#checksum);
    if (this.#unwrittenBytes >= writeBytes) await this.#write(file.handle);
  }

  async #write(handle: FileHandle): Promise<void> {
    const bytes = this.#unwritten.length === 1 ? this.#unwritten[0] : Buffer.concat(this.#unwritten);
    this.#unwritten = [];
    this.#unwrittenBytes = 0;
    if (bytes !== undefined && bytes.length > 0) await handle.writeFile(bytes);
  }

  async end(): Promise<void> {
    const file = this.#file;
    if (file === null) return;
    await this.#write(file.handle);
    this.#file = null;
    await file.handle.close();
    this.files.set(file.name, { sizeBytes: this.#sizeBytes, checksum: this.#checksum });
  }

  /** Closes a file that was left in the middle. */
  async abandon(): Promise<void> {
    this.#unwritten = [];
    this.#unwrittenBytes = 0;
    await this.#file?.handle.close();
    this.#file = null;
  }

  /** Makes everything survive a loss of power. */
  async sync(signal: AbortSignal): Promise<void> {
    const names = [...this.files.keys()];
    const next = async (): Promise<void> => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) {
        signal.throwIfAborted();
        const handle = await open(join(this.#root, name), 'r');
        try {
          await handle.sync();
        } finally {
          await handle.close();
        }
      }
    };
    await Promise.all(Array.from({ length: syncAtOnce }, next));
    for (const folder of this.#folders) await syncFolder(folder);
  }
}
