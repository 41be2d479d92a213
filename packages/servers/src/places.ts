import { readdir } from 'node:fs/promises';
import { delimiter } from 'node:path';

/** The names in a folder, newest version first (numbers are compared as numbers); none when it cannot be read. */
export async function namesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  return names.toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true }));
}

/** The absolute folders on PATH. */
export function pathFolders(): string[] {
  return (process.env.PATH ?? '').split(delimiter).filter((folder) => folder.startsWith('/'));
}
