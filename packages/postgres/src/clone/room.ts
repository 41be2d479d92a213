import type { Member } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import type { Instance } from '../instance.ts';
import { openMember } from './source.ts';

const sizeTimeoutMs = 60_000;

/** By the two functions that `pg_rewind`'s role may call; databases come and go meanwhile. */
const sizeQuery = `select (select coalesce(sum((pg_stat_file('base/' || d || '/' || f, true)).size), 0)
    from pg_ls_dir('base', true, false) d, lateral pg_ls_dir('base/' || d, true, false) f) as bytes,
  (select count(*) from pg_ls_dir('pg_tblspc', true, false)) as spaces`;

/** What the source says of its files before anything is asked of it that costs it something; null where it does not say. */
export interface SourceSize {
  readonly bytes: number;
  readonly tablespaces: number;
}

/** Asks the source for the size of its files. Whatever stands against the question, the copy itself will say more clearly. */
export async function askSize(instance: Instance, from: Member): Promise<SourceSize | null> {
  try {
    const session = await openMember(instance, from, 'rewind');
    try {
      const { bytes, spaces } = await session.row(sizeQuery, sizeTimeoutMs);
      return { bytes: Number(bytes), tablespaces: Number(spaces) };
    } finally {
      await session.close();
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    instance.log({ level: 'debug', message: `The size of ${from.id}'s database is not known.`, fields: { reason } });
    return null;
  }
}

/** @throws EngineError `ENGINE_CLONE_FAILED` */
export function refuseTablespaces(places: readonly string[]): void {
  if (places.length === 0) return;
  const text = `The database has tablespaces outside of its data directory (${places.join(', ')}), which cannot be copied yet.`;
  const next = 'Move their tables into the default tablespace and drop them.';
  throw new EngineError('ENGINE_CLONE_FAILED', text, { retry: 'unsafe', next });
}
