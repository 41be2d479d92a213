import { randomUUID } from 'node:crypto';
import { EMPTY_GTID_SET } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import {
  makeFolder,
  moveAside,
  removeLeftovers,
  removeTree,
  renameTo,
  siblingPath,
  unmarkIncomplete,
} from '@understudy/engine/host';
import { encodeEnd, writeIdentity } from '../disk/identity.ts';
import { inspectDisk } from '../disk/inspect.ts';
import { copyTemplate, ensureTemplate } from '../disk/template.ts';
import { engineError } from '../errors.ts';
import { firstTimeline } from '../gtid/mysql.ts';
import type { Instance } from '../instance.ts';

/**
 * Makes a new, empty database with a cluster id of its own in a folder beside the data directory, and puts it in place when it is
 * complete.
 *
 * @throws EngineError `ENGINE_DATA_REFUSED` when the data directory is not empty; `ENGINE_DISK_FULL`, `ENGINE_START_FAILED`.
 */
export async function initialize(instance: Instance, signal: AbortSignal): Promise<void> {
  const { options, owner, paths, programs, expected } = instance;
  const disk = await inspectDisk(options.dataDir, expected);
  if (disk.kind !== 'absent' && disk.kind !== 'incomplete') {
    const text = `${options.dataDir} is not empty, so no new database is made there.`;
    throw new EngineError('ENGINE_DATA_REFUSED', text, { next: 'Configure another data directory.' });
  }
  await removeLeftovers(options.dataDir, 'init');
  const target = siblingPath(options.dataDir, 'init');
  try {
    await makeFolder(paths.runDir, owner);
    const made = instance.config.forMaking();
    await copyTemplate(await ensureTemplate(programs, options, signal, made), target, owner);
    signal.throwIfAborted();
    const { cluster, member } = options;
    const empty = { kind: 'gtid', set: EMPTY_GTID_SET, timelines: [firstTimeline], bytesPerTransaction: 0 } as const;
    const { flavour, version } = programs;
    const identity = {
      cluster,
      member,
      flavour,
      version,
      systemId: randomUUID(),
      received: 'applied' as const,
      writer: 'first' as const,
      opened: null,
      made,
      end: encodeEnd(empty, null),
    };
    await writeIdentity(target, identity, owner);
    await moveAside(options.dataDir, { why: 'unfinished when a new database was made', history: 'unproven' });
    await renameTo(target, options.dataDir);
    await unmarkIncomplete(options.dataDir);
    instance.lines.forget();
  } catch (error) {
    await removeTree(target);
    throw engineError('ENGINE_START_FAILED', 'Making a new database', error, 'safe');
  }
}
