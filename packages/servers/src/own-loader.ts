import { chmod, open, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Libraries } from './recipe.ts';

const elfMagic = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);

/**
 * Lets the programs of an unpacked tree run with the tree's own C library and loader, on a machine with an older one.
 *
 * Each program moves to `NAME.elf`, and a script of its name starts it through the loader. Paths in the script are relative to
 * itself, so the tree can be moved and copied; `exec` keeps the process id, so signals reach the program.
 */
export async function wrapPrograms(folder: string, libraries: Libraries & { kind: 'own-loader' }): Promise<void> {
  for (const programs of libraries.programFolders) {
    const up = programs
      .split('/')
      .map(() => '..')
      .join('/');
    for (const entry of await readdir(join(folder, programs), { withFileTypes: true })) {
      const path = join(folder, programs, entry.name);
      if (!entry.isFile() || !(await isElf(path))) continue;
      await rename(path, `${path}.elf`);
      await writeFile(path, script(up, libraries));
      await chmod(path, 0o755);
    }
  }
}

function script(up: string, { loader, folders }: Libraries & { kind: 'own-loader' }): string {
  const path = folders.map((name) => `$root/${name}`).join(':');
  return [
    '#!/bin/sh',
    '# Made by Understudy: starts the program with the libraries that were fetched with it.',
    `root="\${0%/*}/${up}"`,
    `exec "$root/${loader}" --library-path "${path}" --argv0 "$0" "$0.elf" "$@"`,
    '',
  ].join('\n');
}

async function isElf(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return bytesRead === 4 && buffer.equals(elfMagic);
  } finally {
    await file.close();
  }
}
