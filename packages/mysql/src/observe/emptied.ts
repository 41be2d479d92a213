import type { Owner, RunningServer } from '@understudy/engine/host';
import { z } from 'zod';
import { memoryTables } from '../config/memory-tables.ts';
import { quoteIdentifier } from '../names.ts';
import type { Seam } from '../seam.ts';
import type { Session } from '../sql/session.ts';
import { RunNote } from './run-note.ts';

const schema = z.object({ tables: z.array(z.string()) });

/** Remembers which tables one process of the server emptied by starting, quoted: what others hold of them it does not know. */
export class EmptiedMemory {
  readonly #note: RunNote<{ readonly tables: readonly string[] }>;

  constructor(runDir: string, owner: Owner, seam?: Seam) {
    this.#note = new RunNote({ runDir, name: 'emptied.json', owner }, schema, seam);
  }

  /** Called before the server gets any from others. Those of a process that was taken over without a note are all that there are. */
  async note(running: RunningServer, session: Session, deadlineMs: number): Promise<void> {
    if ((await this.#note.of(running)) !== null) return;
    await this.#note.set(running, { tables: await memoryTableNames(session, deadlineMs) });
  }

  /** Those of `present` that are not known to have been made by replication in this run. */
  async among(running: RunningServer, present: readonly string[]): Promise<readonly string[]> {
    const tables = (await this.#note.of(running))?.tables;
    return tables === undefined ? present : present.filter((table) => tables.includes(table));
  }
}

/** All tables of MEMORY, as statements name them. */
export async function memoryTableNames(session: Session, deadlineMs: number): Promise<readonly string[]> {
  const rows = await session.query(memoryTables, [], deadlineMs);
  return rows.map(({ place, name }) => `${quoteIdentifier(place ?? '')}.${quoteIdentifier(name ?? '')}`);
}
