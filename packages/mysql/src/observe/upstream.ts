import { type MemberId, memberId } from '@understudy/core';
import type { Owner, RunningServer } from '@understudy/engine/host';
import { z } from 'zod';
import type { Seam } from '../seam.ts';
import { RunNote } from './run-note.ts';

/** Whom a server was told to follow, where, and with which of its two accounts. */
export interface Upstream {
  readonly member: MemberId;
  readonly acknowledges: 'yes' | 'no';
  /** Left out in notes of earlier versions. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
}

const schema: z.ZodType<Upstream> = z.object({
  member: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,40}$/)
    .transform((text) => memberId(text)),
  acknowledges: z.enum(['yes', 'no']),
  host: z.string().max(300).optional(),
  port: z.int().optional(),
});

/**
 * Remembers whom the server was told to follow, for one process of the server: every start is sealed. It says who the source is. That
 * nobody is followed is never taken from it alone: a receiver may run whatever is noted here.
 */
export class UpstreamMemory {
  readonly #note: RunNote<Upstream>;

  constructor(runDir: string, owner: Owner, seam?: Seam) {
    this.#note = new RunNote({ runDir, name: 'upstream.json', owner }, schema, seam);
  }

  of(running: RunningServer): Promise<Upstream | null> {
    return this.#note.of(running);
  }

  /** Called before the receiver is started. */
  set(running: RunningServer, upstream: Upstream): Promise<void> {
    return this.#note.set(running, upstream);
  }

  /** Called once the receiver is proven to be gone. Before, whoever comes next would not know that there is something to cut. */
  clear(running: RunningServer): Promise<void> {
    return this.#note.clear(running);
  }
}
