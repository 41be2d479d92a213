import { pause, reasonOf } from '@understudy/base';
/** The record of changes: who asked for what, from where, when, and what came of it. One file for each agent, which only its user reads. */

import { constants } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Change, changesOf, type Line, newest, olderFile, textOf } from './audit-lines.ts';

export const CHANGES_FILE = 'changes.log';
const OLD_FILE = `${CHANGES_FILE}.1`;
const MAX_FILE_BYTES = 4 * 1024 * 1024;
const MAX_WHAT_CHARS = 2_000;
const MAX_SHOWN = 500;
const MAX_REFUSED_SHOWN = 100;
/** Lines that wait for a disk that stands still. */
const MAX_QUEUED = 256;
/** As long as this a change waits for its own line. */
const WRITE_MS = 1_000;
/** Where the older file is made; what is there is what an agent left that ended while it made one. */
const NEXT_FILE = `${OLD_FILE}.new`;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

/** Names whose values are not written down: they may hold passwords. */
const SECRET = /password|passphrase|secret|token|command|conninfo|key/i;

/** A request's body as it is written down. */
export function bodyText(body: unknown): string {
  if (body === undefined || body === null) return '';
  const text = JSON.stringify(body, (name, value: unknown) =>
    SECRET.test(name) && value !== null && name !== '' ? '(not shown)' : value,
  );
  return text.length <= MAX_WHAT_CHARS ? text : `${text.slice(0, MAX_WHAT_CHARS)}…`;
}

export class ChangeRecord {
  readonly #folder: string;
  readonly #maxBytes: number;
  #file: FileHandle | null = null;
  #bytes = 0;
  #turn: Promise<void> = Promise.resolve();
  #queued = 0;
  #problem: string | null = null;

  constructor(folder: string, maxBytes = MAX_FILE_BYTES) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** Why the last line could not be written; null: it was. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Writes down that a change begins. A change goes on also when that fails, with a warning: a full disk must not stop a failover. */
  begun(id: string, change: Omit<Change, 'status'>): Promise<void> {
    return this.#write({ kind: 'begun', id, change });
  }

  ended(id: string, status: number): Promise<void> {
    return this.#write({ kind: 'ended', id, status });
  }

  /** The newest changes, oldest first, and some of the newest refused requests. */
  async read(): Promise<readonly Change[]> {
    await this.#turn;
    return newest([...changesOf(await this.#texts()).values()], MAX_SHOWN, MAX_REFUSED_SHOWN);
  }

  #texts(): Promise<readonly string[]> {
    const read = (name: string): Promise<string> => readFile(join(this.#folder, name), 'utf8').catch(() => '');
    return Promise.all([read(OLD_FILE), read(CHANGES_FILE)]);
  }

  async close(): Promise<void> {
    await Promise.race([this.#turn, pause(WRITE_MS)]);
    await this.#file?.close();
    this.#file = null;
  }

  async #write(line: Line): Promise<void> {
    if (this.#queued >= MAX_QUEUED) {
      this.#problem = `changes cannot be recorded in ${this.#folder}: its disk does not answer`;
      return;
    }
    this.#queued++;
    this.#turn = this.#turn.then(() => this.#append(textOf(line))).finally(() => this.#queued--);
    await Promise.race([this.#turn, pause(WRITE_MS)]);
  }

  async #append(text: string): Promise<void> {
    const path = join(this.#folder, CHANGES_FILE);
    try {
      if (this.#bytes > this.#maxBytes) await this.#moveAside(path);
      this.#file ??= await this.#open(path);
      await this.#file.appendFile(text);
      this.#bytes += Buffer.byteLength(text);
      this.#problem = null;
    } catch (error) {
      this.#problem = `changes cannot be recorded in ${path}: ${reasonOf(error)}`;
      await this.#file?.close().catch(() => undefined);
      this.#file = null;
    }
  }

  async #open(path: string): Promise<FileHandle> {
    const file = await open(path, APPEND, 0o600);
    await file.chmod(0o600);
    this.#bytes = (await file.stat()).size;
    return file;
  }

  async #moveAside(path: string): Promise<void> {
    await this.#file?.close();
    this.#file = null;
    const next = join(this.#folder, NEXT_FILE);
    await rm(next, { force: true });
    const file = await open(next, CREATE, 0o600);
    try {
      await file.writeFile(olderFile(await this.#texts(), this.#maxBytes));
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(next, join(this.#folder, OLD_FILE));
    // What is in both files after a crash here is read once: each change has an id.
    await rm(path, { force: true });
    this.#bytes = 0;
  }
}
