import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { groupOf, serverUser } from '../src/user.ts';

const isRoot = process.getuid?.() === 0;
const root = 'root:x:0:0:root:/root:/bin/bash';
const nobody = 'nobody:x:65534:65533::/nonexistent:/usr/sbin/nologin';
const postgres = 'postgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash';

test('root runs servers as postgres, without one as nobody, without either not at all', {
  skip: !isRoot,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'passwd-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'passwd');
  await writeFile(file, [root, nobody, postgres, ''].join('\n'));
  assert.deepEqual(serverUser(file), { name: 'postgres', uid: 101, gid: 104 });
  await writeFile(file, [root, nobody, ''].join('\n'));
  assert.deepEqual(serverUser(file), { name: 'nobody', uid: 65534, gid: 65533 });
  await writeFile(file, `${root}\nbroken line\npostgres:x:not-a-number:1:::\n`);
  assert.throws(() => serverUser(file), { code: 'USER_MISSING', message: /useradd --system postgres/ });
});

test('an ordinary user runs servers as itself', { skip: isRoot }, () => {
  assert.equal(serverUser(), null);
});

test('a uid that passwd does not know has the group of the same number', () => {
  assert.equal(groupOf(4_000_000), 4_000_000);
});
