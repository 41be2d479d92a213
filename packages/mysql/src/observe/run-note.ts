import { join } from 'node:path';
import type { RunningServer } from '@understudy/engine/host';
import { type Owner, readIfThere, removeFile, replaceFile } from '@understudy/engine/host';
import { z } from 'zod';
import { passSeam, type Seam } from '../seam.ts';

const processOf = ({ pid, startTicks }: RunningServer): string => `${pid} ${startTicks ?? ''}`;

/**
 * What an agent notes of one process of its server, in a file beside its socket, so that the next agent knows it too. It says what was
 * meant, never what is: whoever proves something asks the server.
 */
export class RunNote<T> {
  readonly #name: string;
  readonly #file: string;
  readonly #owner: Owner;
  readonly #schema: z.ZodType<T>;
  readonly #seam: Seam | undefined;
  #known: { readonly process: string; readonly value: T | null } | null = null;

  constructor(place: { runDir: string; name: string; owner: Owner }, schema: z.ZodType<T>, seam: Seam | undefined) {
    this.#name = place.name;
    this.#file = join(place.runDir, place.name);
    this.#owner = place.owner;
    this.#schema = schema;
    this.#seam = seam;
  }

  async of(running: RunningServer): Promise<T | null> {
    const process = processOf(running);
    if (this.#known?.process !== process) this.#known = { process, value: await this.#read(process) };
    return this.#known.value;
  }

  async #read(process: string): Promise<T | null> {
    try {
      const text = await readIfThere(this.#file);
      if (text === null) return null;
      const parsed = z.object({ process: z.string().max(80) }).safeParse(JSON.parse(text));
      if (!parsed.success || parsed.data.process !== process) return null;
      return this.#schema.safeParse(JSON.parse(text)).data ?? null;
    } catch {
      return null;
    }
  }

  async set(running: RunningServer, value: T & object): Promise<void> {
    passSeam(this.#seam, `write ${this.#name}`);
    const process = processOf(running);
    await replaceFile(this.#file, `${JSON.stringify({ process, ...value })}\n`, this.#owner);
    this.#known = { process, value };
  }

  async clear(running: RunningServer): Promise<void> {
    passSeam(this.#seam, `remove ${this.#name}`);
    await removeFile(this.#file);
    this.#known = { process: processOf(running), value: null };
  }
}
