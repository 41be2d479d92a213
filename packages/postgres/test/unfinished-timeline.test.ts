import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lsn } from '@understudy/core';
import { dropUnfinishedTimelines, unfinishedTimelines } from '../src/disk/unfinished-timeline.ts';

const segmentBytes = 16 * 1024 * 1024;
const pageBytes = 8192;
const begin = 0x6000000n;
/** In the 769th page of the file. */
const switchLsn = lsn(0x6600b00n);
const pagesToSwitch = 769;
const [old, fresh] = ['0000000E0000000000000006', '0000000F0000000000000006'];

/** A log file that was written up to some page, the rest being of the file's former use. */
function segment(pages: number): Buffer {
  const file = Buffer.alloc(segmentBytes);
  for (let page = 0; page < segmentBytes / pageBytes; page += 1) {
    const position = page < pages ? begin + BigInt(page * pageBytes) : BigInt(page * pageBytes);
    file.writeUInt16LE(0xd116, page * pageBytes);
    file.writeBigUInt64LE(position, page * pageBytes + 8);
  }
  return file;
}

async function dataDir(t: TestContext, files: Readonly<Record<string, Buffer | string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'us-unfinished-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'pg_wal'));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, 'pg_wal', name), content);
  return folder;
}

const history = '13\t0/646A4F8\tno recovery target specified\n14\t0/6600B00\tno recovery target specified\n';

test('a timeline whose first file ends before its own begin is unfinished, and only its files are removed', async (t) => {
  const folder = await dataDir(t, {
    [old]: segment(2048),
    [fresh]: segment(700),
    '0000000F.history': history,
    '0000000E.history': '',
  });
  const found = await unfinishedTimelines(folder, segmentBytes, 'last-page');
  assert.deepEqual(found, [{ timeline: 15, switchLsn, files: [fresh, '0000000F.history'] }]);
  assert.deepEqual(await dropUnfinishedTimelines(folder, segmentBytes), [15]);
  assert.deepEqual((await readdir(join(folder, 'pg_wal'))).toSorted(), ['0000000E.history', old]);
  assert.deepEqual(await dropUnfinishedTimelines(folder, segmentBytes), []);
});

test('a hole that a crash of the machine left is found at a start', async (t) => {
  const holed = segment(800);
  holed.fill(0, 100 * pageBytes, 101 * pageBytes);
  const folder = await dataDir(t, { [old]: segment(2048), [fresh]: holed, '0000000F.history': history });
  assert.deepEqual(await unfinishedTimelines(folder, segmentBytes, 'last-page'), []);
  assert.deepEqual(await dropUnfinishedTimelines(folder, segmentBytes), [15]);
});

for (const [what, files] of [
  ['received up to its begin', { [old]: segment(2048), [fresh]: segment(pagesToSwitch), '0000000F.history': history }],
  ['without a file of its parent', { [fresh]: segment(10), '0000000F.history': history }],
  [
    'whose parent has only an unused file there',
    { [old]: segment(0), [fresh]: segment(700), '0000000F.history': history },
  ],
  ['without a history', { [old]: segment(2048), [fresh]: segment(10) }],
  [
    'whose number was skipped',
    { [old]: segment(2048), '0000000F.history': '# Understudy: number 15 was given away\n' },
  ],
] as const) {
  test(`left alone: a timeline ${what}`, async (t) => {
    const folder = await dataDir(t, files);
    assert.deepEqual(await unfinishedTimelines(folder, segmentBytes, 'whole'), []);
    assert.deepEqual(await dropUnfinishedTimelines(folder, segmentBytes), []);
  });
}
