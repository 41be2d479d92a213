// Goal: MySQL and MariaDB are told apart and found by version, and errors say what to do.
// Method: folders with small programs that only print a version, as the real servers print theirs.
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { findMysql, mysqlRecipeFor } from '../src/find-mysql.ts';
import { moveMysqlTools } from '../src/mysql-tools.ts';

let folder = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'find-'));
});

after(() => rm(folder, { recursive: true }));

const mysqlText = (version: string): string => `mysqld  Ver ${version}-2 for Linux on x86_64 ((Debian))`;
const mariadbText = (version: string): string =>
  `mariadbd  Ver ${version}-MariaDB-0+deb13u1 from Debian for debian-linux-gnu on x86_64`;

async function programs(path: string, names: readonly string[], text: string): Promise<string> {
  await mkdir(path, { recursive: true });
  for (const name of names) {
    await writeFile(join(path, name), `#!/bin/sh\necho "${text}"\n`);
    await chmod(join(path, name), 0o755);
  }
  return path;
}

test('a named folder is used, with the programs that lie beside it', async () => {
  const base = join(folder, 'mysql-91');
  const sbin = await programs(join(base, 'sbin'), ['mysqld'], mysqlText('91.7.4'));
  const bin = await programs(join(base, 'bin'), ['mysql', 'mysqlbinlog'], 'client');
  const expected = {
    flavour: 'mysql',
    version: '91.7.4',
    series: '91.7',
    binDir: sbin,
    baseDir: base,
    origin: 'binDir',
    tools: {
      server: join(sbin, 'mysqld'),
      installDb: null,
      backup: null,
      backupStream: null,
      client: join(bin, 'mysql'),
      dump: null,
      binlog: join(bin, 'mysqlbinlog'),
    },
  };
  for (const binDir of [sbin, bin, base]) assert.deepEqual(await findMysql({ flavour: 'mysql', binDir }), expected);
});

test('MariaDB is known by its version, whatever its program is called', async () => {
  const bin = await programs(
    join(folder, 'mariadb-92', 'bin'),
    ['mariadbd', 'mariadb-backup'],
    mariadbText('92.11.18'),
  );
  await symlink('mariadbd', join(bin, 'mysqld'));
  const old = await programs(join(folder, 'mariadb-93', 'bin'), ['mysqld', 'mariabackup'], mariadbText('93.1.2'));
  const found = await findMysql({ flavour: 'mariadb', version: '92.11', searchPath: [old, bin] });
  assert.equal(found.tools.server, join(bin, 'mariadbd'));
  assert.equal(found.tools.backup, join(bin, 'mariadb-backup'));
  const older = await findMysql({ flavour: 'mariadb', version: '93', searchPath: [bin, old] });
  assert.equal(older.tools.server, join(old, 'mysqld'));
  assert.equal(older.tools.backup, join(old, 'mariabackup'));
  await assert.rejects(findMysql({ flavour: 'mysql', binDir: bin }), {
    code: 'SERVER_BROKEN',
    message: /MariaDB 92\.11\.18.*holds mysqld/,
  });
});

test('without a version the newest is taken, by number and not by text', async () => {
  const places: string[] = [];
  for (const version of ['999.9.1', '999.10.1', '999.2.30']) {
    places.push(await programs(join(folder, `new-${version}`), ['mysqld'], mysqlText(version)));
  }
  const found = await findMysql({ flavour: 'mysql', searchPath: places, origins: ['binDir'] });
  assert.equal(found.version, '999.10.1');
  const exact = await findMysql({ flavour: 'mysql', version: '999.2.30', searchPath: places });
  assert.equal(dirname(exact.tools.server), places[2]);
});

test('a server that does not run is refused with what it said', async () => {
  const bin = join(folder, 'broken');
  await mkdir(bin);
  await writeFile(
    join(bin, 'mysqld'),
    '#!/bin/sh\necho "error while loading shared libraries: libaio.so.1" >&2\nexit 127\n',
  );
  await chmod(join(bin, 'mysqld'), 0o755);
  await assert.rejects(findMysql({ flavour: 'mysql', binDir: bin }), { code: 'SERVER_BROKEN', message: /libaio/ });
});

test('a version that is not here names the way to get it', async () => {
  await assert.rejects(findMysql({ flavour: 'mysql', version: '96.1' }), {
    code: 'SERVER_NOT_FOUND',
    message: /binDir/,
  });
  await assert.rejects(findMysql({ flavour: 'mariadb', version: '11.8', origins: [] }), {
    code: 'SERVER_NOT_FOUND',
    message: /npm run servers -- get mariadb-11\.8/,
  });
  await assert.rejects(findMysql({ flavour: 'mariadb', version: 'latest' }), {
    code: 'SERVER_UNKNOWN',
    message: /11\.8/,
  });
});

test('recipes by version', () => {
  assert.equal(mysqlRecipeFor('mysql'), 'mysql-9.7');
  assert.equal(mysqlRecipeFor('mariadb'), 'mariadb-11.8');
  assert.equal(mysqlRecipeFor('mariadb', '10.11'), 'mariadb-10.11');
  assert.equal(mysqlRecipeFor('mariadb', '10'), 'mariadb-10.11');
  assert.equal(mysqlRecipeFor('mysql', '5.7'), null);
});

test('programs of a copied installation keep their folders', () => {
  const tools = {
    server: '/a/usr/sbin/mysqld',
    installDb: null,
    backup: null,
    backupStream: null,
    client: '/a/usr/bin/mysql',
    dump: '/elsewhere/bin/mysqldump',
    binlog: null,
  };
  assert.deepEqual(moveMysqlTools(tools, '/a/usr', '/b/usr'), {
    ...tools,
    server: '/b/usr/sbin/mysqld',
    client: '/b/usr/bin/mysql',
  });
});
