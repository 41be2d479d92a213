import { rename, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Member } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import { syncFolder, unmarkIncomplete } from '@understudy/engine/host';
import { z } from 'zod';
import { stopReplica } from '../commands/stop.ts';
import { moveAside, removeLeftovers, siblingPath, siblings } from '../disk/aside.ts';
import { writeIdentity } from '../disk/identity.ts';
import { inspectDisk } from '../disk/inspect.ts';
import { engineError, serverErrorOf } from '../errors.ts';
import type { Instance } from '../instance.ts';
import type { Progress } from '../jobs.ts';
import { schemaName } from '../names.ts';
import { ServerProcess } from '../process/server-process.ts';
import type { Flavour } from '../programs.ts';
import { openMember } from '../sql/local.ts';
import type { Session } from '../sql/session.ts';
import { copyByDump } from './by-dump.ts';
import { baseName, copyByPlugin } from './by-plugin.ts';
import type { CopyJob } from './copy-job.ts';

const timeoutMs = 10_000;

/** How a whole database comes from another member into a new folder. */
type Copy = (instance: Instance, job: CopyJob) => Promise<void>;

/** MariaDB has no such plugin. */
const copies: Readonly<Record<Flavour, Copy>> = { mysql: copyByPlugin, mariadb: copyByDump };

/**
 * Copies the whole database from another member into a folder beside the data directory; when it is complete and on disk, the present
 * directory is moved aside and the copy takes its place. A crash before that leaves the present directory as it was.
 *
 * @throws EngineError `ENGINE_CLONE_FAILED`, `ENGINE_DISK_FULL`, `ENGINE_UNREACHABLE`, `ENGINE_LOGIN_FAILED`; the unfinished copy is removed.
 */
export async function clone(instance: Instance, from: Member, progress: Progress, signal: AbortSignal): Promise<void> {
  const { options, programs } = instance;
  await requireReplaceable(instance);
  await removeUnfinished(instance);
  const target = siblingPath(options.dataDir, 'clone');
  try {
    const source = await askSource(instance, from);
    await requireRoom(target, source.bytes);
    signal.throwIfAborted();
    await copies[programs.flavour](instance, { from, target, totalBytes: source.bytes, progress, signal });
    signal.throwIfAborted();
    const { cluster, member } = options;
    const { flavour, version } = programs;
    const identity = {
      cluster,
      member,
      flavour,
      version,
      systemId: source.systemId,
      received: 'applied' as const,
      end: null,
    };
    await writeIdentity(target, identity, instance.owner);
    const aside = await moveAside(options.dataDir, options.aside);
    if (aside !== null) {
      instance.log({
        level: 'warn',
        message: `The data that the copy replaces is kept in ${aside}.`,
        fields: { aside },
      });
    }
    await rename(target, options.dataDir);
    await syncFolder(dirname(options.dataDir));
    await unmarkIncomplete(options.dataDir);
    instance.lines.forget();
  } catch (error) {
    await rm(target, { recursive: true, force: true });
    throw engineError('ENGINE_CLONE_FAILED', `Copying the database from ${from.id}`, error, 'safe');
  }
}

/** Stops a running replica, and makes sure that what will be replaced is ours. */
async function requireReplaceable(instance: Instance): Promise<void> {
  await stopReplica(instance);
  const disk = await inspectDisk(instance.options.dataDir, instance.expected);
  if (disk.kind === 'refused') throw new EngineError('ENGINE_DATA_REFUSED', disk.problem, 'unsafe');
}

/** Removes what an interrupted copy left, with the server that may still write it. */
async function removeUnfinished({ options, owner, programs, paths }: Instance): Promise<void> {
  const { server: program, libraryPath } = programs;
  for (const folder of await siblings(options.dataDir, 'clone')) {
    for (const dataDir of [folder, join(folder, baseName)]) {
      await new ServerProcess({ program, libraryPath, dataDir, logFile: paths.log, owner }).killLeftovers();
    }
  }
  await removeLeftovers(options.dataDir, 'clone');
}

interface Source {
  readonly systemId: string;
  /** About how much it has on disk. */
  readonly bytes: number | null;
}

const sizeQueries: Readonly<Record<Flavour, string>> = {
  mysql: 'select sum(allocated_size) as bytes from information_schema.innodb_tablespaces',
  mariadb: 'select sum(data_length + index_length) as bytes from information_schema.tables',
};

/** Asks the source whose data it has, and how much. */
async function askSource(instance: Instance, from: Member): Promise<Source> {
  const session = await openMember(instance.options, from, 'clone', timeoutMs);
  try {
    const systemId = await clusterOf(session, from);
    const [size] = await session.query(sizeQueries[instance.programs.flavour], [], timeoutMs);
    const bytes = Number(size?.bytes ?? Number.NaN);
    return { systemId, bytes: Number.isFinite(bytes) ? Math.round(bytes) : null };
  } finally {
    await session.end();
  }
}

async function clusterOf(session: Session, from: Member): Promise<string> {
  const query = `select cluster from ${schemaName}.\`lines\` order by lineage desc limit 1`;
  const rows = await session.query(query, [], timeoutMs).catch((error: unknown) => {
    // No such schema or table.
    if ([1049, 1146].includes(serverErrorOf(error) ?? 0)) return [];
    throw error;
  });
  const id = z.uuid().safeParse(rows[0]?.cluster);
  if (id.success) return id.data;
  const text = `${from.id} was never opened as a leader: its database does not say of which cluster it is. Copy from the leader.`;
  throw new EngineError('ENGINE_CLONE_FAILED', text, 'safe');
}

async function requireRoom(target: string, neededBytes: number | null): Promise<void> {
  const folder = dirname(target);
  const { bavail, bsize } = await statfs(folder);
  if (neededBytes === null || bavail * bsize > neededBytes) return;
  const text = `The copy needs ${neededBytes} bytes, and the disk of ${folder} has ${bavail * bsize} left.`;
  throw new EngineError('ENGINE_DISK_FULL', `${text} Make room there (older copies are named *.aside-*).`, 'safe');
}
