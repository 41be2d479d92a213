import type { Owner, RunningServer } from '@understudy/engine/host';
import { z } from 'zod';
import type { Seam } from '../seam.ts';
import { RunNote } from './run-note.ts';

/**
 * What agents did to one process of the server. `fenced`: it started closed, and nobody has opened it. `opening`: the next statement opens
 * it. `open`: it was opened. `closing`: it was open, and a handover closes it. A process that was open never becomes a replica: it ends.
 */
export type Phase = 'fenced' | 'opening' | 'open' | 'closing';

const schema = z.object({ phase: z.enum(['fenced', 'opening', 'open', 'closing']) });

/** Remembers which process of the server an agent of this member has opened. */
export class OpenedMemory {
  readonly #note: RunNote<{ readonly phase: Phase }>;

  constructor(runDir: string, owner: Owner, seam?: Seam) {
    this.#note = new RunNote({ runDir, name: 'opened.json', owner }, schema, seam);
  }

  async of(running: RunningServer): Promise<Phase | null> {
    return (await this.#note.of(running))?.phase ?? null;
  }

  async set(running: RunningServer, phase: Phase): Promise<void> {
    if ((await this.of(running)) !== phase) await this.#note.set(running, { phase });
  }
}

/** What a server is by what was done to it and whether it lets clients write now. */
export interface Role {
  readonly role: 'replica' | 'primary';
  /** `outside`: somebody else than an agent has opened it; `closed`: somebody else has closed it. */
  readonly by: 'agent' | 'outside';
}

/**
 * A variable that anybody may set decides nothing alone. Who was opened is a primary until its process ends: its acknowledgers would still
 * answer it, and whoever closed it may open it again. Without a note (an earlier version's server) the variable is believed.
 */
export function roleOf(phase: Phase | null, isOpenNow: boolean): Role {
  if (isOpenNow) return { role: 'primary', by: phase === 'fenced' ? 'outside' : 'agent' };
  if (phase === 'open' || phase === 'closing') return { role: 'primary', by: phase === 'open' ? 'outside' : 'agent' };
  return { role: 'replica', by: 'agent' };
}
