import { readFile, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';

const inMemory = '/dev/shm';
const gib = 2 ** 30;
/** What the largest two files with real servers need at once, with as much again to spare; and what the servers themselves need beside it. */
const freeBytesMin = 8 * gib;
const memoryBytesMin = 14 * gib;

/** What a machine says of its memory. */
export interface Memory {
  /** `/proc/mounts` */
  readonly mounts: string;
  /** `/proc/meminfo` */
  readonly meminfo: string;
  /** The limit of this control group, as the kernel prints it; null when there is none. */
  readonly limit: string | null;
  /** Free bytes of the file system at `/dev/shm`. */
  readonly freeBytes: number;
}

/**
 * Whether data directories of tests fit into memory, where a sync costs nothing. What these tests prove is about processes that die and
 * networks that fail, and a killed process loses no more there than on a disk; drills, which measure, stay on the disk.
 */
export function fitsInMemory({ mounts, meminfo, limit, freeBytes }: Memory): 'yes' | 'no' {
  const [, , kind, options = ''] =
    mounts
      .split('\n')
      .map((line) => line.split(' '))
      .find(([, at]) => at === inMemory) ?? [];
  const availableBytes = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? 0) * 1024;
  const limitBytes = limit === null || limit.trim() === 'max' ? Number.POSITIVE_INFINITY : Number(limit);
  const isRoomy = freeBytes >= freeBytesMin && Math.min(availableBytes, limitBytes) >= memoryBytesMin;
  // Tests put programs there as well.
  return kind === 'tmpfs' && !options.split(',').includes('noexec') && isRoomy ? 'yes' : 'no';
}

/** The folder for what tests with real servers write: `TMPDIR` where it is set, else in memory if there is plenty of it, else where temporary files go. */
export async function scratchParent(): Promise<string> {
  if (process.env.TMPDIR !== undefined) return tmpdir();
  try {
    const [mounts, meminfo, { bavail, bsize }] = await Promise.all([
      readFile('/proc/mounts', 'utf8'),
      readFile('/proc/meminfo', 'utf8'),
      statfs(inMemory),
    ]);
    const limit = await readFile('/sys/fs/cgroup/memory.max', 'utf8').catch(() => null);
    return fitsInMemory({ mounts, meminfo, limit, freeBytes: bavail * bsize }) === 'yes' ? inMemory : tmpdir();
  } catch {
    return tmpdir();
  }
}
