import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { codeOf, pollUntil, realFolder } from '@understudy/engine/host';

/** How long a killed process may take to disappear: on a busy machine it waits for a processor to die on. */
export const killPatienceMs = 10_000;

/**
 * When a living process was started, in ticks since boot: with its id it names one process for ever. Null when there is none, or only a
 * dead one that nobody has taken note of. Made to be asked often: one read of microseconds, no promise.
 */
export function startTicks(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name before the other fields is in parentheses, and may hold spaces and parentheses itself.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ', 20);
    // The first thread of a killed server may be dead while others still hold its files and its port.
    const isDead = (fields[0] === 'Z' || fields[0] === 'X') && Number(fields[17]) <= 1;
    return isDead ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

/** Whether this process is a database server that works in that folder: the server makes its data directory its working directory. */
async function worksIn(pid: number, dataDir: string): Promise<boolean> {
  try {
    if ((await readlink(`/proc/${pid}/cwd`)) !== dataDir) return false;
    // The program may have been started through another loader, so its name can stand anywhere in the arguments.
    const args = (await readFile(`/proc/${pid}/cmdline`, 'latin1')).split('\0');
    return args.some((arg) => /(^|\/)(mysqld|mariadbd)(\.elf)?$/.test(arg)) && startTicks(pid) !== null;
  } catch {
    return false;
  }
}

/** Every living process that was started with exactly this argument. */
async function processesWith(argument: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const line = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
      return Buffer.from(line, 'latin1').toString('utf8').split('\0').includes(argument) && startTicks(pid) !== null;
    }),
  );
  return pids.filter((_, index) => found[index] === true);
}

/** Kills the programs that an agent before this one has left behind, known by an argument that no other has; waits until they are gone. */
export async function killProcessesWith(argument: string): Promise<void> {
  const check = async (): Promise<true | null> => {
    const pids = await processesWith(argument);
    for (const pid of pids) signalProcess(pid, 'SIGKILL');
    return pids.length === 0 ? true : null;
  };
  if ((await pollUntil(check, { everyMs: 5, timeoutMs: killPatienceMs })) !== null) return;
  throw new Error(`A program that was started with ${argument} does not end although it was killed.`);
}

/** Sends a signal; a process that is gone already is what was wanted. */
export function signalProcess(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

/** Every server process of a data directory, whoever started it. */
export async function serverProcesses(dataDir: string): Promise<readonly number[]> {
  const real = await realFolder(dataDir).catch(() => null);
  if (real === null) return [];
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const mine = await Promise.all(pids.map((pid) => worksIn(pid, real)));
  return pids.filter((_, index) => mine[index] === true);
}
