import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeReachable } from '../src/reachable.ts';

const isRoot = process.getuid?.() === 0;
/** A user who has nothing. */
const uid = 65_534;

/** A folder that others cannot enter, with a program in `bin` and these names beside it. */
async function closedFolder(t: TestContext, beside: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'us-closed-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const root = join(folder, 'installation');
  await mkdir(join(root, 'bin'), { recursive: true });
  await writeFile(join(root, 'bin', 'server'), '#!/bin/sh\n', { mode: 0o755 });
  for (const name of beside) await writeFile(join(root, name), 'a secret', { mode: 0o600 });
  await chmod(folder, 0o700);
  return root;
}

const copies = async (): Promise<readonly string[]> =>
  (await readdir('/var/tmp')).filter((name) => name.includes('understudy-bin-'));

test('what is no part of a server is not copied for others to read', { skip: !isRoot }, async (t) => {
  for (const strange of ['.ssh', 'secrets.json', 'Documents', 'data']) {
    const root = await closedFolder(t, ['README', strange]);
    const before = await copies();
    await assert.rejects(makeReachable(join(root, 'bin'), uid), (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error && error.code === 'UNREACHABLE');
      return error.message.includes(`"${strange}" there is no part of a server`);
    });
    assert.deepEqual(await copies(), before);
  }
});

test('a server alone is', { skip: !isRoot }, async (t) => {
  const root = await closedFolder(t, ['README', 'LICENSE.txt', 'pg-symlinks.json']);
  const copied = await makeReachable(join(root, 'bin'), uid);
  t.after(() => rm(join(copied, '..'), { recursive: true, force: true }));
  assert.match(copied, /^\/var\/tmp\/understudy-bin-[0-9a-f]{16}\/bin$/);
});
