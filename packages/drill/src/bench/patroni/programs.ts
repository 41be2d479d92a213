import { chmod, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  ensurePostgres,
  getServer,
  makeReachable,
  type OnProgress,
  type PostgresServer,
  reachablePostgres,
  serverUser,
} from '@understudy/servers';
import { DrillError } from '../../errors.ts';

/** The PostgreSQL of Debian 12, for which its Patroni is made. */
export const pgMajor = '15';

/** What the comparison is run with. */
export interface Programs {
  readonly patroni: { readonly python: string; readonly version: string };
  readonly postgres: PostgresServer;
  readonly etcdVersion: string;
}

/** Finds, or fetches, everything. @throws ServersError */
export async function findPrograms(onProgress: OnProgress): Promise<Programs> {
  const fetched = await getServer('patroni', { onProgress });
  await getServer(`pg-tools-${pgMajor}`, { onProgress });
  const etcd = await getServer('etcd-3.5', { onProgress });
  const user = serverUser();
  const own = join(fetched.folder, 'usr', 'bin');
  const python = 'python3.11';
  const folder = user === null ? own : await makeReachable(own, user.uid, [python, `${python}.elf`]);
  const postgres = await reachablePostgres(await ensurePostgres({ version: pgMajor, onProgress }), user);
  return {
    patroni: { python: join(folder, python), version: fetched.version },
    postgres,
    etcdVersion: etcd.version,
  };
}

/**
 * One folder with all programs, as Patroni wants it: npm's server and Debian's tools lie in two. Programs that find their libraries by
 * their own path are called by it.
 */
export async function gatherPrograms({ postgres }: Programs, folder: string): Promise<void> {
  const { pgRewind } = postgres.tools;
  if (pgRewind === null) {
    throw new DrillError(
      'SETUP_FAILED',
      `PostgreSQL ${pgMajor} has no pg_rewind here: npm run servers -- get pg-tools-${pgMajor}`,
    );
  }
  await mkdir(folder, { mode: 0o755 });
  const names = new Map<string, string>();
  for (const from of [postgres.binDir, dirname(pgRewind)]) {
    for (const name of await readdir(from)) {
      if (!names.has(name) && !name.endsWith('.elf')) names.set(name, join(from, name));
    }
  }
  for (const [name, path] of names) {
    const target = join(folder, name);
    if (dirname(path) === postgres.binDir) {
      await symlink(path, target);
      continue;
    }
    await writeFile(target, `#!/bin/sh\nexec '${path.replaceAll("'", `'\\''`)}' "$@"\n`);
    await chmod(target, 0o755);
  }
}
