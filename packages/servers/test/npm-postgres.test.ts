// Goal: the links that npm may not have made are made, by many processes at once, and never outside the package.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { hydrateLinks } from '../src/npm-postgres.ts';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'links-'));
  await mkdir(join(folder, 'native', 'lib'), { recursive: true });
});

afterEach(() => rm(folder, { recursive: true }));

async function writeLinks(links: unknown): Promise<void> {
  await writeFile(join(folder, 'native', 'pg-symlinks.json'), JSON.stringify(links));
}

test('missing links are made, relative, once, however many ask at the same time', async () => {
  await writeLinks([{ source: 'native/lib/libpq.so.5.17', target: 'native/lib/libpq.so.5' }]);
  await Promise.all(Array.from({ length: 20 }, () => hydrateLinks(folder)));
  await hydrateLinks(folder);
  assert.equal(await readlink(join(folder, 'native', 'lib', 'libpq.so.5')), 'libpq.so.5.17');
});

test('a link that would lie or point outside the package is refused', async () => {
  await writeLinks([{ source: 'native/lib/a', target: '../outside' }]);
  await assert.rejects(hydrateLinks(folder), { code: 'SERVER_BROKEN' });
  await writeLinks([{ source: '/etc/passwd', target: 'native/lib/a' }]);
  await assert.rejects(hydrateLinks(folder), { code: 'SERVER_BROKEN' });
});

test('a package without a list of links is left as it is', async () => {
  await hydrateLinks(folder);
});
