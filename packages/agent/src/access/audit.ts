/** The record of changes: who asked for what, from where, when, and what came of it. One file for each agent, which only its user reads. */

import { constants } from 'node:fs';
import { type FileHandle, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../errors.ts';
import { pause } from '../time/deadline.ts';

export const CHANGES_FILE = 'changes.log';
const OLD_FILE = `${CHANGES_FILE}.1`;
const MAX_FILE_BYTES = 4 * 1024 * 1024;
const MAX_WHAT_CHARS = 2_000;
const MAX_SHOWN = 500;
/** Lines that wait for a disk that stands still. */
const MAX_QUEUED = 256;
/** As long as this a change waits for its own line. */
const WRITE_MS = 1_000;
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

export const changeSchema = z.object({
  wallMs: z.number(),
  /** `token ops`, `certificate alice`, `member n2`, `this machine`. */
  who: z.string(),
  /** IP address and port. */
  from: z.string(),
  /** Method and path. */
  what: z.string(),
  /** The request's body, without what may be secret. */
  body: z.string(),
  /** `begun`: written before it was done; null: how it ended is not known (the agent ended meanwhile). */
  status: z.number().nullable(),
});
export type Change = z.infer<typeof changeSchema>;

const lineSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('begun'), id: z.string(), change: changeSchema.omit({ status: true }) }),
  z.object({ kind: z.literal('ended'), id: z.string(), status: z.number() }),
]);
type Line = z.infer<typeof lineSchema>;

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

  /** The newest changes, oldest first. */
  async read(): Promise<readonly Change[]> {
    await this.#turn;
    const changes = new Map<string, Change>();
    for (const name of [OLD_FILE, CHANGES_FILE]) {
      const text = await readFile(join(this.#folder, name), 'utf8').catch(() => '');
      for (const line of text.split('\n').map(parseLine)) {
        if (line === null) continue;
        if (line.kind === 'begun') changes.set(line.id, { ...line.change, status: null });
        else {
          const begun = changes.get(line.id);
          if (begun !== undefined) changes.set(line.id, { ...begun, status: line.status });
        }
      }
    }
    return [...changes.values()].slice(-MAX_SHOWN);
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
    this.#turn = this.#turn.then(() => this.#append(`${JSON.stringify(line)}\n`)).finally(() => this.#queued--);
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
      this.#problem = `changes cannot be recorded in ${path}: ${messageOf(error)}`;
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
    this.#bytes = 0;
    await rename(path, join(this.#folder, OLD_FILE));
  }
}

function parseLine(text: string): Line | null {
  try {
    const parsed = lineSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
