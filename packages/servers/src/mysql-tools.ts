import { basename, dirname, join } from 'node:path';
import { reasonOf } from '@understudy/base';

import { isExecutable } from './postgres-tools.ts';
import { run, tailOf } from './run.ts';

/** Which of the two servers that speak MySQL's protocol. */
export type MysqlFlavour = 'mysql' | 'mariadb';

/** Absolute paths of a server's programs, all of one installation; null where it lacks one. */
export interface MysqlTools {
  /** `mysqld` or `mariadbd`. */
  readonly server: string;
  /** MariaDB's script that makes the system tables; MySQL's server does that itself. */
  readonly installDb: string | null;
  /** MariaDB's physical copy. */
  readonly backup: string | null;
  /** Unpacks what `backup` streams. */
  readonly backupStream: string | null;
  readonly client: string | null;
  readonly dump: string | null;
  readonly binlog: string | null;
}

/** What one folder turned out to be. `absent`: it holds no server of either kind. */
export type MysqlProbe =
  | {
      readonly kind: 'server';
      readonly flavour: MysqlFlavour;
      readonly binDir: string;
      readonly program: string;
      readonly version: string;
    }
  | { readonly kind: 'unusable'; readonly binDir: string; readonly reason: string }
  | { readonly kind: 'absent'; readonly binDir: string };

/** `Ver 9.7.4-2 for …`, `Ver 11.8.6-MariaDB-0+deb13u1 from …`. */
const versionPattern = /\bVer (\d+\.\d+(?:\.\d+)*)(\S*)/;
/** MariaDB's packages have `mysqld` as a link to `mariadbd`, so the server's own name is asked for first. */
const serverNames = ['mariadbd', 'mysqld'];

/** Looks into one folder and runs its server with `--version` (this also proves that its libraries are found). */
export async function probeMysqlFolder(binDir: string): Promise<MysqlProbe> {
  for (const name of serverNames) {
    const program = join(binDir, name);
    if (!(await isExecutable(program))) continue;
    try {
      const result = await run(program, ['--no-defaults', '--version'], { timeoutMs: 10_000 });
      const match = versionPattern.exec(result.stdout);
      if (result.code === 0 && match?.[1] !== undefined) {
        const flavour = /mariadb/i.test(match[2] ?? '') ? 'mariadb' : 'mysql';
        return { kind: 'server', flavour, binDir, program, version: match[1] };
      }
      return { kind: 'unusable', binDir, reason: `${program} --version failed: ${tailOf(result)}` };
    } catch (error) {
      return { kind: 'unusable', binDir, reason: reasonOf(error) };
    }
  }
  return { kind: 'absent', binDir };
}

/** The programs of the installation that a server's program belongs to: beside it, or in `bin` when it lies in `sbin` or `libexec`. */
export async function mysqlToolsFor(program: string, flavour: MysqlFlavour): Promise<MysqlTools> {
  const own = dirname(program);
  const base = dirname(own);
  const folders = [...new Set([own, join(base, 'bin'), join(base, 'scripts')])];
  const first = async (...names: readonly string[]): Promise<string | null> => {
    for (const name of names) {
      for (const folder of folders) {
        if (await isExecutable(join(folder, name))) return join(folder, name);
      }
    }
    return null;
  };
  if (flavour === 'mysql') {
    const [client, dump, binlog] = [await first('mysql'), await first('mysqldump'), await first('mysqlbinlog')];
    return { server: program, installDb: null, backup: null, backupStream: null, client, dump, binlog };
  }
  return {
    server: program,
    installDb: await first('mariadb-install-db', 'mysql_install_db'),
    backup: await first('mariadb-backup', 'mariabackup'),
    backupStream: await first('mbstream'),
    client: await first('mariadb', 'mysql'),
    dump: await first('mariadb-dump', 'mysqldump'),
    binlog: await first('mariadb-binlog', 'mysqlbinlog'),
  };
}

/** The same programs below another folder than `from`. */
export function moveMysqlTools(tools: MysqlTools, from: string, to: string): MysqlTools {
  const moved = (path: string): string => join(to, basename(dirname(path)), basename(path));
  const movedOrNull = (path: string | null): string | null =>
    path === null || dirname(dirname(path)) !== from ? path : moved(path);
  return {
    server: moved(tools.server),
    installDb: movedOrNull(tools.installDb),
    backup: movedOrNull(tools.backup),
    backupStream: movedOrNull(tools.backupStream),
    client: movedOrNull(tools.client),
    dump: movedOrNull(tools.dump),
    binlog: movedOrNull(tools.binlog),
  };
}
