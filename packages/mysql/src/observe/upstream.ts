import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type MemberId, memberId } from '@understudy/core';
import { type Owner, readIfThere, replaceFile } from '@understudy/engine/host';
import { z } from 'zod';
import type { RunningServer } from '../process/server-process.ts';

/** Whom a server was told to follow, and with which of its two accounts. */
export interface Upstream {
  readonly member: MemberId;
  readonly acknowledges: 'yes' | 'no';
}

const fileSchema = z.object({
  process: z.string().max(80),
  member: z.string().regex(/^[A-Za-z0-9_-]{1,40}$/),
  acknowledges: z.enum(['yes', 'no']),
});

const nameOf = ({ pid, startTicks }: RunningServer): string => `${pid} ${startTicks ?? ''}`;

/**
 * Remembers whom the server follows, in a file beside its socket, so that an agent which takes the server over knows it too. It is true
 * for one process of the server only: every start is sealed.
 */
export class UpstreamMemory {
  readonly #file: string;
  readonly #owner: Owner;
  #known: { readonly process: string; readonly upstream: Upstream | null } | null = null;

  constructor(runDir: string, owner: Owner) {
    this.#file = join(runDir, 'upstream.json');
    this.#owner = owner;
  }

  async of(running: RunningServer): Promise<Upstream | null> {
    const process = nameOf(running);
    if (this.#known?.process !== process) this.#known = { process, upstream: await this.#read(process) };
    return this.#known.upstream;
  }

  async #read(process: string): Promise<Upstream | null> {
    const text = await readIfThere(this.#file);
    if (text === null) return null;
    try {
      const parsed = fileSchema.safeParse(JSON.parse(text));
      if (!parsed.success || parsed.data.process !== process) return null;
      return { member: memberId(parsed.data.member), acknowledges: parsed.data.acknowledges };
    } catch {
      return null;
    }
  }

  /** Called before the receiver is started. */
  async set(running: RunningServer, upstream: Upstream): Promise<void> {
    const process = nameOf(running);
    await replaceFile(this.#file, `${JSON.stringify({ process, ...upstream })}\n`, this.#owner);
    this.#known = { process, upstream };
  }

  /** Called before the receiver is cut. */
  async clear(running: RunningServer): Promise<void> {
    this.#known = { process: nameOf(running), upstream: null };
    await rm(this.#file, { force: true });
  }
}
