// Goal: PostgreSQL is found where it is, tools of another major are never offered, and errors say what to do.
// Method: folders with small programs that only print a version.
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findPostgres } from '../src/find-postgres.ts';

let folder = '';
const server = ['postgres', 'initdb', 'pg_ctl'];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'find-'));
});

after(() => rm(folder, { recursive: true }));

async function binDir(name: string, version: string, programs: readonly string[]): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  for (const program of programs) {
    const file = join(path, program);
    await writeFile(file, `#!/bin/sh\necho "${program} (PostgreSQL) ${version}"\n`);
    await chmod(file, 0o755);
  }
  return path;
}

test('a named folder is used, with tools of the same major from elsewhere and none of another', async () => {
  const own = await binDir('server-91', '91.4', server);
  const same = await binDir('clients-91', '91.2 (Debian 91.2-1)', ['psql', 'pg_rewind']);
  const other = await binDir('clients-90', '90.1', ['psql', 'pg_rewind', 'pg_basebackup', 'pg_dump', 'pgbench']);
  const found = await findPostgres({ binDir: own, searchPath: [other, same] });
  assert.equal(found.version, '91.4');
  assert.equal(found.major, 91);
  assert.equal(found.origin, 'binDir');
  assert.equal(found.tools.postgres, join(own, 'postgres'));
  assert.equal(found.tools.pgRewind, join(same, 'pg_rewind'));
  assert.equal(found.tools.psql, join(same, 'psql'));
  assert.equal(found.tools.pgBasebackup, null, 'of version 90: it would refuse to work');
  assert.equal(found.tools.pgDump, null, 'pg_dump refuses a newer server');
  assert.equal(found.tools.pgbench, join(other, 'pgbench'), 'a plain client works across versions');
});

test('the wanted version is found on the search path', async () => {
  const own = await binDir('server-92', '92beta1', server);
  const found = await findPostgres({ version: '92', searchPath: [own] });
  assert.equal(found.binDir, own);
  assert.equal(found.version, '92beta1');
});

test('a named folder of the wrong version, or without a server, is refused with what was seen', async () => {
  const own = await binDir('server-93', '93.1', server);
  await assert.rejects(findPostgres({ binDir: own, version: '94' }), {
    code: 'SERVER_BROKEN',
    message: /version 93\.1/,
  });
  const clients = await binDir('only-clients', '93.1', ['psql']);
  await assert.rejects(findPostgres({ binDir: clients }), { code: 'SERVER_BROKEN' });
  await assert.rejects(findPostgres({ binDir: join(folder, 'gone') }), {
    code: 'SERVER_BROKEN',
    message: /no postgres, initdb, pg_ctl in it/,
  });
});

test('a server that does not run is refused with what it said', async () => {
  const own = await binDir('broken', '95.1', server);
  await writeFile(
    join(own, 'postgres'),
    '#!/bin/sh\necho "error while loading shared libraries: libpq.so.5" >&2\nexit 127\n',
  );
  await assert.rejects(findPostgres({ binDir: own }), { code: 'SERVER_BROKEN', message: /shared libraries: libpq/ });
});

test('a version that is not here names the way to get it', async () => {
  await assert.rejects(findPostgres({ version: '96' }), { code: 'SERVER_NOT_FOUND', message: /binDir/ });
  await assert.rejects(findPostgres({ version: 'latest' }), { code: 'SERVER_UNKNOWN', message: /major version/ });
});
