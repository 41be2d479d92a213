import { basename, dirname, join, resolve } from 'node:path';
import { reasonOf } from '@understudy/base';
import { contains, type Position, type WalPosition } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import {
  entryAt,
  type KeptNote,
  linkedLog,
  linkedLogOf,
  linksIn,
  makeFolder,
  namesIn,
  type Owner,
  stamp,
} from '@understudy/engine/host';
import { seal } from '../commands/seal.ts';
import { stopReplica } from '../commands/stop.ts';
import { inspectDisk, stoppedState } from '../disk/inspect.ts';
import type { Instance } from '../instance.ts';
import type { PostgresOptions } from '../options.ts';

/** Links that a copy takes care of; what is in `pg_tblspc` is refused by itself. */
const handledLinks = [linkedLog];

/**
 * Makes sure, before anything is stopped, that what a copy would replace is this member's and can be replaced.
 *
 * @throws EngineError `ENGINE_DATA_REFUSED`
 */
export async function requireReplaceable({ options, expected }: Instance): Promise<void> {
  const { dataDir } = options;
  const disk = await inspectDisk(dataDir, expected);
  if (disk.kind === 'refused' && disk.data !== 'damaged') {
    throw new EngineError('ENGINE_DATA_REFUSED', disk.problem);
  }
  const links = await linksIn(dataDir, handledLinks);
  if (links.length === 0) return;
  const text = `${links.join(', ')} in ${dataDir} lead to other places, and a copy would put what is there into ${dataDir} itself.`;
  throw new EngineError('ENGINE_DATA_REFUSED', text, { next: `Move it back, or use a link for ${linkedLog} only.` });
}

/**
 * Stops the replica whose data is to be replaced.
 *
 * @returns everything durable here, as it was when nothing could be received any more; null where that is not known.
 * @throws EngineError `ENGINE_BUSY` when it is a primary.
 */
export async function stopReplaced(instance: Instance): Promise<Position | null> {
  const { options, expected } = instance;
  if (instance.postmaster.running === null) {
    const state = await stoppedState(options.dataDir, await inspectDisk(options.dataDir, expected));
    return state.kind === 'stopped' ? state.position : null;
  }
  const end = await sealedEnd(instance);
  await stopReplica(instance);
  return end;
}

/** What a replica holds for good is only known once nothing arrives any more. */
async function sealedEnd(instance: Instance): Promise<Position | null> {
  if ((await instance.observe()).kind !== 'replica') return null;
  try {
    await seal(instance);
    const state = await instance.observe();
    return state.kind === 'replica' && state.receiver.kind === 'none' ? state.position : null;
  } catch (error) {
    const message = 'Where the replaced data ends is not known, so all of it is kept.';
    instance.log({ level: 'debug', message, fields: { reason: reasonOf(error) } });
    return null;
  }
}

/** Why the replaced data is kept, and whether all of it is on the source. */
export function noteOfReplaced(from: string, own: Position | null, source: WalPosition | null): KeptNote {
  if (own === null) return { why: `replaced by a copy of ${from}; where it ends is not known`, history: 'unproven' };
  if (source !== null && contains(source, own)) {
    return { why: `replaced by a copy of ${from}, which held all of it`, history: 'contained' };
  }
  return { why: `replaced by a copy of ${from}, which did not hold all of it`, history: 'unproven' };
}

/**
 * Where the log of a new copy belongs when that is not the data directory: beside that of the present data, or where `initdb` was told to
 * put it. The folder is made; null: in the data directory.
 */
export async function logFolderFor({
  options,
  owner,
}: {
  readonly options: Pick<PostgresOptions, 'dataDir' | 'initdbArgs'>;
  readonly owner: Owner;
}): Promise<string | null> {
  const present = await linkedLogOf(options.dataDir);
  const wanted = present ?? waldirOf(options.initdbArgs);
  if (wanted === null) return null;
  const base = basename(wanted).replace(/\.log-[\d-]+$/, '');
  // Where the present data has its log belongs to it, also while it looks empty because its disk is not mounted.
  const folder = present === null && (await isFree(wanted)) ? wanted : join(dirname(wanted), `${base}.log-${stamp()}`);
  await makeFolder(folder, owner);
  return folder;
}

/** What `--waldir` or `-X` says among the arguments of `initdb`. */
export function waldirOf(args: readonly string[]): string | null {
  for (const [index, arg] of args.entries()) {
    const joined = /^(?:--waldir=|-X)(.+)$/.exec(arg)?.[1];
    if (joined !== undefined) return resolve(joined);
    const next = args[index + 1];
    if ((arg === '--waldir' || arg === '-X') && next !== undefined) return resolve(next);
  }
  return null;
}

/** Nothing there, or an empty folder. */
async function isFree(path: string): Promise<boolean> {
  const entry = await entryAt(path).catch(() => null);
  return entry === null || (entry.isDirectory() && (await namesIn(path)).length === 0);
}
