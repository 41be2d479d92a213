/** The record of changes: on disk, private, bounded, and no reason to refuse a change. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { CHANGES_FILE, ChangeRecord } from '../src/access/audit.ts';
import { Refusals } from '../src/access/refusals.ts';

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'us-audit-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

const change = (what: string) => ({ wallMs: 1, who: 'token ops', from: '10.0.0.1 port 1', what, body: '' });

it('has who asked for what before it is done, and how it ended, also for the next agent', async (t) => {
  const path = await folder(t);
  const record = new ChangeRecord(path);
  await record.begun('a', change('POST /switchover'));
  assert.deepEqual(await new ChangeRecord(path).read(), [{ ...change('POST /switchover'), status: null }]);
  await record.ended('a', 200);
  await record.close();
  assert.equal((await stat(join(path, CHANGES_FILE))).mode & 0o777, 0o600);
  const next = new ChangeRecord(path);
  await next.begun('b', change('POST /failover'));
  const [first, second] = await next.read();
  assert.deepEqual([first?.status, second?.what], [200, 'POST /failover']);
  await next.close();
});

it('is bounded: one older file is kept', async (t) => {
  const path = await folder(t);
  const record = new ChangeRecord(path, 4_000);
  for (let i = 0; i < 100; i++) await record.begun(String(i), change(`POST /${i}`));
  const names = await readdir(path);
  assert.deepEqual(names.sort(), [CHANGES_FILE, `${CHANGES_FILE}.1`]);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(path, name))).size));
  assert.ok(
    sizes.every((size) => size < 4_500),
    sizes.join(', '),
  );
  const shown = await record.read();
  assert.equal(shown.at(-1)?.what, 'POST /99');
  await record.close();
});

it('that cannot be written is said, and stands in the way of nothing', async (t) => {
  const path = await folder(t);
  await mkdir(join(path, CHANGES_FILE));
  const record = new ChangeRecord(path);
  await record.begun('a', change('POST /failover'));
  assert.match(record.problem ?? '', /cannot be recorded/);
  await rm(join(path, CHANGES_FILE), { recursive: true });
  await record.begun('b', change('POST /failover'));
  assert.equal(record.problem, null);
  await record.close();
});

it('follows no link', async (t) => {
  const path = await folder(t);
  const victim = join(path, 'victim');
  await writeFile(victim, 'as it was');
  await symlink(victim, join(path, CHANGES_FILE));
  const record = new ChangeRecord(path);
  await record.begun('a', change('POST /failover'));
  assert.equal(await readFile(victim, 'utf8'), 'as it was');
  assert.notEqual(record.problem, null);
  await record.close();
});

it('shows what can be read of a damaged file', async (t) => {
  const path = await folder(t);
  const record = new ChangeRecord(path);
  await record.begun('a', change('POST /failover'));
  await writeFile(join(path, CHANGES_FILE), 'half a li', { flag: 'a' });
  await writeFile(join(path, CHANGES_FILE), '\n{"kind":"ended","id":"a","status":412}\n', { flag: 'a' });
  assert.deepEqual(
    (await record.read()).map(({ status }) => status),
    [412],
  );
  await record.close();
});

it('loses no change to requests that are refused, however many come', async (t) => {
  const path = await folder(t);
  const record = new ChangeRecord(path, 4_000);
  const made = async (id: string, what: string, status: number): Promise<void> => {
    await record.begun(id, change(what));
    await record.ended(id, status);
  };
  await made('failover', 'POST /failover', 202);
  await record.begun('restart', change('POST /restart'));
  for (let i = 0; i < 200; i++) await made(`refused ${i}`, 'POST /failover?', i % 2 === 0 ? 403 : 409);
  await made('pause', 'POST /pause', 200);
  const done = (await record.read()).filter(({ status }) => status === null || status < 400);
  assert.deepEqual(
    done.map(({ what, status }) => [what, status]),
    [
      ['POST /failover', 202],
      ['POST /restart', null],
      ['POST /pause', 200],
    ],
  );
  const sizes = await Promise.all((await readdir(path)).map(async (name) => (await stat(join(path, name))).size));
  assert.equal(sizes.length, 2);
  assert.ok(
    sizes.every((size) => size < 4_500),
    sizes.join(', '),
  );
  await record.close();
});

it('has some of what a caller was refused, and the number of the rest', () => {
  const refusals = new Refusals();
  const noted = Array.from({ length: 1_000 }, (_, i) => refusals.note('token view', i));
  assert.equal(noted.filter(({ kind }) => kind === 'recorded').length, 20);
  assert.deepEqual(
    refusals.note('token ops', 1_000),
    { kind: 'recorded', skipped: 0 },
    'others are not the worse for it',
  );
  assert.deepEqual(refusals.note('token view', 61_000), { kind: 'recorded', skipped: 980 });
  for (let i = 0; i < 300; i++) refusals.note(`token ${i}`, 62_000);
  assert.deepEqual(refusals.note('token view', 62_000), { kind: 'recorded', skipped: 0 }, 'callers are bounded, too');
});
