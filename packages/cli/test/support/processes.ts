import { readdir, readFile } from 'node:fs/promises';

/** Processes whose command line names a folder: agents, guards and servers of a cluster there. */
export async function processesIn(folder: string): Promise<{ readonly pid: number; readonly command: string }[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const found = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
      return { pid: Number(name), command: text.replaceAll('\0', ' ').trim() };
    }),
  );
  return found.filter(({ command }) => command.includes(folder));
}
