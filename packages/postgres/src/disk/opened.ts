import { join } from 'node:path';
import { isThere, type Owner, readIfThere, removeFile, replaceFile } from '@understudy/engine/host';
import { z } from 'zod';
import { notesMark } from '../config/settings.ts';
import type { ControlFile, ControlState } from './control-file.ts';

const openedName = 'understudy.opened';
const spoiledName = 'understudy.spoiled';

const openedSchema = z.object({ member: z.string(), timeline: z.int().nullable() });

/** Which history line this copy was last opened on by its own agent; null: by nobody since it became a copy of another's. */
export type Opened = z.output<typeof openedSchema>;

/** Written, and synced, before a server is told to open, and when a copy begins to follow somebody. */
export async function noteOpened(dataDir: string, opened: Opened, owner: Owner): Promise<void> {
  const text = `${JSON.stringify(opened)}\n`;
  if ((await readIfThere(join(dataDir, openedName))) === text) return;
  await replaceFile(join(dataDir, openedName), text, owner);
}

/**
 * As `noteOpened`, and then asks whether it is too late: a disk may take any time for the note, so the clock is asked last. What was noted
 * before stands again then.
 */
export async function noteInTime(
  dataDir: string,
  opened: Opened,
  owner: Owner,
  isLate: () => boolean,
): Promise<'noted' | 'late'> {
  const file = join(dataDir, openedName);
  const before = await readIfThere(file);
  await noteOpened(dataDir, opened, owner);
  if (!isLate()) return 'noted';
  await (before === null ? removeFile(file) : replaceFile(file, before, owner));
  return 'late';
}

async function readOpened(dataDir: string): Promise<Opened | null> {
  const text = await readIfThere(join(dataDir, openedName));
  if (text === null) return null;
  try {
    return openedSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/**
 * Forgets what was noted when an agent that keeps no notes has written the include since: a downgrade, in which it may have opened this copy
 * rightfully, and the note would call that done by hand.
 */
export async function forgetIfUnkept(dataDir: string, include: string): Promise<void> {
  const text = await readIfThere(include);
  if (text !== null && !text.includes(notesMark)) await removeFile(join(dataDir, openedName));
}

/** States of a server that was open for writes. */
const openStates: ReadonlySet<ControlState> = new Set([
  'shut down',
  'shutting down',
  'in crash recovery',
  'in production',
]);

/**
 * Why what lies here is nobody's history any more: it was opened by hand, so it wrote on a line whose number another server has, or
 * will be given. Numbers and positions then say nothing: two such lines cannot be told apart, not by `pg_rewind` either. Null when
 * that is not so, also for a copy of which nothing was noted.
 */
export async function openedByHand(dataDir: string, member: string, control: ControlFile): Promise<string | null> {
  if (!openStates.has(control.state)) return null;
  const opened = await readOpened(dataDir);
  if (opened === null || (await isThere(join(dataDir, 'backup_label')))) return null;
  const own = opened.member === member && opened.timeline !== null && opened.timeline >= control.timeline;
  if (own) return null;
  return `This copy was opened for writes by hand (on timeline ${control.timeline}), so what it holds is on no member's history. It is copied anew; the old data is kept aside. Use \`understudy switchover\` to change the primary.`;
}

/** Keeps what `openedByHand` found for as long as this data lies here: a fenced start hides it from the control file. */
export async function markSpoiled(dataDir: string, why: string, owner: Owner): Promise<void> {
  await replaceFile(join(dataDir, spoiledName), `${why}\n`, owner);
}

export async function readSpoiled(dataDir: string): Promise<string | null> {
  return (await readIfThere(join(dataDir, spoiledName)))?.trim() ?? null;
}

/** Of a new copy: what was noted about the data that it was made from is not about it. */
export async function noteCopied(dataDir: string, member: string, owner: Owner): Promise<void> {
  await noteOpened(dataDir, { member, timeline: null }, owner);
  await removeFile(join(dataDir, spoiledName));
}
