import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pause, reasonOf } from '@understudy/base';
import { nodePaths } from '@understudy/local';
import { DrillError } from '../errors.ts';

const execute = promisify(execFile);
const programs = ['mkfs.ext4', 'mount', 'umount', 'mountpoint', 'fsfreeze'] as const;
const places = ['/usr/sbin', '/sbin', '/usr/bin', '/bin'];
const programMs = 30_000;
/** Sparse: it takes what is written. */
const diskBytes = 8 * 1024 ** 3;
/** A stall ends by itself after so many seconds, even when the drill is gone by then: what is frozen can neither be killed nor unmounted. */
const stallSecondsMax = 60;

const pathOf = (program: string): string | undefined =>
  places.map((folder) => join(folder, program)).find((path) => existsSync(path));

/** Freezes and thaws `$1`: `$2` s frozen, `$3` s not, `$4` times. Never what is no disk of ours any more: that would be the machine's own. */
const script =
  'n=0; while [ $n -lt $4 ]; do mountpoint -q "$1" || exit 1; fsfreeze -f "$1" || exit 1; sleep $2; fsfreeze -u "$1"; sleep $3; n=$((n+1)); done';

/**
 * A disk of its own for each node (a file with ext4, on a loop device, mounted at the node's folder), so that one can be slow or stall.
 * A stalled file system is what a stalled disk is to those who write: they wait in the kernel, and SIGKILL does not reach them.
 */
export class Disks {
  readonly #mounts: Map<string, string>;
  readonly #busy = new Map<string, ChildProcess>();

  private constructor(mounts: Map<string, string>) {
    this.#mounts = mounts;
  }

  /** Why there can be no such disks here; null when there can. */
  static objection(): string | null {
    if (process.platform !== 'linux') return 'this is not Linux';
    if (process.getuid?.() !== 0) return 'they need root';
    const missing = programs.filter((program) => pathOf(program) === undefined);
    if (missing.length > 0) return `missing programs: ${missing.join(', ')}`;
    return existsSync('/dev/loop-control') ? null : 'there are no loop devices';
  }

  /** Makes and mounts a disk for each node of a cluster that is about to be made in `folder`. @throws DrillError `SETUP_FAILED` */
  static async make(folder: string, nodes: number): Promise<Disks> {
    const mounts = new Map<string, string>();
    const disks = new Disks(mounts);
    try {
      const images = join(folder, 'disks');
      await mkdir(images, { recursive: true, mode: 0o700 });
      // The servers' user passes through to its disks.
      await chmod(folder, 0o711);
      for (let number = 1; number <= nodes; number += 1) {
        const name = `n${number}`;
        const at = nodePaths(folder, name).folder;
        await mountNew(join(images, `${name}.img`), at);
        mounts.set(name, at);
      }
      return disks;
    } catch (error) {
      await disks.unmount();
      throw new DrillError('SETUP_FAILED', `No disk could be made for a node: ${reasonOf(error)}`, { cause: error });
    }
  }

  /** Whoever writes to the node's disk waits until {@link heal}, or for 60 s. */
  stall(node: string): Promise<void> {
    return this.#run(node, [String(stallSecondsMax), '0', '1']);
  }

  /** Whoever writes to the node's disk waits for up to 150 ms, nine times out of ten. */
  slow(node: string): Promise<void> {
    return this.#run(node, ['0.15', '0.02', '300']);
  }

  /** Can be called twice. */
  async heal(node: string): Promise<void> {
    const child = this.#busy.get(node);
    this.#busy.delete(node);
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      process.kill(-child.pid, 'SIGKILL');
      await ended;
    }
    // Its own fsfreeze may be the last to end, and freeze what was thawed: thawed is what refuses to be thawed, twice.
    const at = this.#at(node);
    for (let refused = 0; refused < 2; await pause(50)) refused = (await thaws(at)) ? 0 : refused + 1;
  }

  /** Thaws and unmounts all; their files stay. @throws DrillError `FAULT_FAILED` when something still uses one. */
  async unmount(): Promise<void> {
    for (const [node, at] of this.#mounts) {
      await this.heal(node);
      await unmounted(at);
      this.#mounts.delete(node);
    }
  }

  #at(node: string): string {
    const at = this.#mounts.get(node);
    if (at === undefined) throw new DrillError('FAULT_FAILED', `${node} has no disk of its own.`);
    return at;
  }

  /** Resolves when it is frozen for the first time. In a process group of its own: it must outlive an interrupted drill, and thaw. */
  async #run(node: string, times: readonly string[]): Promise<void> {
    const at = this.#at(node);
    const env = { PATH: places.join(':') };
    const child = spawn('/bin/sh', ['-c', script, 'sh', at, ...times], { detached: true, stdio: 'ignore', env });
    child.once('error', () => undefined);
    this.#busy.set(node, child);
    await pause(100);
    if (child.exitCode === null && child.pid !== undefined) return;
    throw new DrillError('FAULT_FAILED', `The disk of ${node} at ${at} cannot be frozen by the program "fsfreeze".`);
  }
}

async function mountNew(image: string, at: string): Promise<void> {
  const file = await open(image, 'wx', 0o600);
  try {
    await file.truncate(diskBytes);
  } finally {
    await file.close();
  }
  await program('mkfs.ext4', '-q', '-m', '0', image);
  await mkdir(at, { recursive: true, mode: 0o711 });
  await program('mount', '-o', 'loop,noatime', image, at);
}

async function thaws(at: string): Promise<boolean> {
  return program('fsfreeze', '-u', at).then(
    () => true,
    () => false,
  );
}

async function unmounted(at: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    if (!(await readFile('/proc/self/mounts', 'utf8')).includes(` ${at} `)) return;
    try {
      await program('umount', at);
    } catch (error) {
      if (attempt >= 20)
        throw new DrillError('FAULT_FAILED', `${at} stays mounted: ${reasonOf(error)}`, { cause: error });
      await pause(100);
    }
  }
}

async function program(name: (typeof programs)[number], ...args: readonly string[]): Promise<void> {
  await execute(pathOf(name) ?? name, [...args], { timeout: programMs });
}
