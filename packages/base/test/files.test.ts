/** Goal: a file is old or new, never part of one, and on the disk. Method: real files; calls of fsync are counted. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { readIfThere, replaceFile } from '@understudy/base/files';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'base-files-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** What was synced while `work` ran: `file` and `folder`, in order. */
async function syncsOf(work: () => Promise<void>): Promise<string[]> {
  const handle = await open(folder);
  const kind = Object.getPrototypeOf(handle);
  await handle.close();
  const { sync } = kind;
  const synced: string[] = [];
  kind.sync = async function (this: typeof handle) {
    synced.push((await this.stat()).isDirectory() ? 'folder' : 'file');
    return sync.call(this);
  };
  try {
    await work();
  } finally {
    kind.sync = sync;
  }
  return synced;
}

test('a replaced file has the new content and mode, and nothing else stays', async () => {
  const path = join(folder, 'state');
  await writeFile(path, 'old', { mode: 0o644 });
  await replaceFile(path, 'new');
  assert.equal(await readFile(path, 'utf8'), 'new');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(folder), ['state']);
  await replaceFile(path, Buffer.from([1, 2]), 0o644);
  assert.equal((await stat(path)).mode & 0o777, 0o644);
});

test('the new content is on the disk before its name, and the name before the caller goes on', async () => {
  assert.deepEqual(await syncsOf(() => replaceFile(join(folder, 'state'), 'new')), ['file', 'folder']);
});

test('a failure leaves what was there, and no partial file', async () => {
  const path = join(folder, 'state');
  await mkdir(path);
  await assert.rejects(replaceFile(path, 'new'), { code: 'EISDIR' });
  assert.deepEqual(await readdir(folder), ['state']);
  await assert.rejects(replaceFile(join(folder, 'missing', 'state'), 'new'), { code: 'ENOENT' });
});

test('a file is read where there is one', async () => {
  await writeFile(join(folder, 'a'), 'text');
  assert.equal(await readIfThere(join(folder, 'a')), 'text');
  assert.equal(await readIfThere(join(folder, 'b')), null);
  await assert.rejects(readIfThere(folder), { code: 'EISDIR' });
});
