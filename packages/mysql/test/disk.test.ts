import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Position } from '@understudy/core';
import { KeptFolders, markIncomplete, moveAside, siblingPath, unmarkIncomplete } from '@understudy/engine/host';
import { newestBinlog } from '../src/disk/binlog-files.ts';
import { type DataIdentity, encodeEnd, writeIdentity } from '../src/disk/identity.ts';
import { inspectDisk, stoppedState } from '../src/disk/inspect.ts';

const systemId = '6bab964b-a8f2-48d0-bb16-c87c417392e2';
const expected = { cluster: 'shop', flavour: 'mysql', version: '9.7.4' } as const;
const position: Position = {
  kind: 'gtid',
  set: new Map([[systemId, [{ first: 1n, last: 3n }]]]),
  timelines: [1, 3],
  bytesPerTransaction: 250,
};
const identity: DataIdentity = {
  ...expected,
  member: 'n1',
  systemId,
  received: 'applied',
  writer: 'first',
  made: {},
  opened: null,
  end: null,
};

let root = '';
let dataDir = '';

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'us-my-disk-'));
  dataDir = join(root, 'data');
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function makeData(of: DataIdentity = identity): Promise<void> {
  await mkdir(join(dataDir, 'mysql'), { recursive: true });
  await writeFile(join(dataDir, 'ibdata1'), '');
  await writeIdentity(dataDir, of, null);
}

const look = async () => stoppedState(dataDir, await inspectDisk(dataDir, expected));

async function problem(): Promise<string> {
  const state = await look();
  assert.equal(state.kind, 'refused');
  return state.kind === 'refused' ? state.problem : '';
}

describe('a data directory', () => {
  it('is absent when it is empty or not there', async () => {
    assert.deepEqual(await look(), { kind: 'absent' });
    await mkdir(dataDir);
    assert.deepEqual(await look(), { kind: 'absent' });
  });

  it('was stopped in order with its position, or crashed', async () => {
    await makeData();
    assert.deepEqual(await look(), { kind: 'stopped', shutdown: 'crashed', position: null, systemId });
    await writeFile(join(dataDir, 'binlog.000002'), 'twelve bytes');
    const end = encodeEnd(position, await newestBinlog(dataDir));
    await writeIdentity(dataDir, { ...identity, end }, null);
    assert.deepEqual(await look(), { kind: 'stopped', shutdown: 'clean', position, systemId });
  });

  it('says nothing about its end when a server wrote to it afterwards', async () => {
    await makeData({ ...identity, end: encodeEnd(position, { name: 'binlog.000002', sizeBytes: 12 }) });
    await writeFile(join(dataDir, 'binlog.000002'), 'thirteen bytes');
    const state = await look();
    assert.equal(state.kind === 'stopped' && state.shutdown, 'crashed');
    await writeFile(join(dataDir, 'binlog.000002'), 'twelve bytes');
    await writeFile(join(dataDir, 'binlog.000003'), '');
    const later = await look();
    assert.equal(later.kind === 'stopped' && later.shutdown, 'crashed');
  });

  it('is refused when it is not ours', async () => {
    await makeData();
    await rm(join(dataDir, 'understudy.json'));
    assert.match(await problem(), /did not make .*Move it away/);
    await rm(join(dataDir, 'ibdata1'));
    assert.match(await problem(), /not a data directory of MySQL or MariaDB/);
  });

  it('is refused when it is of another cluster, product or newer series, or damaged', async () => {
    await makeData({ ...identity, cluster: 'other' });
    assert.match(await problem(), /belongs to the cluster "other"/);
    await makeData({ ...identity, flavour: 'mariadb' });
    assert.match(await problem(), /is a data directory of MariaDB/);
    await makeData({ ...identity, version: '9.8.0' });
    assert.match(await problem(), /older 9\.7\.4. Install version 9\.8\.0/);
    await writeFile(join(dataDir, 'understudy.json'), '{}');
    assert.match(await problem(), /is damaged/);
  });

  it('is taken from an older series and from any version of the same one', async () => {
    for (const version of ['9.7.9', '9.7.0', '8.4.9']) {
      await makeData({ ...identity, version });
      assert.equal((await look()).kind, 'stopped', version);
    }
    await writeFile(join(dataDir, 'mysql_upgrade_history'), '{"upgrade_history":[{"version":"10.0.1-2"}]}');
    assert.match(await problem(), /last used by version 10\.0\.1/);
  });

  it('is incomplete as long as its own mark lies beside it', async () => {
    await makeData();
    await markIncomplete(dataDir);
    assert.deepEqual(await look(), { kind: 'incomplete' });
    await unmarkIncomplete(dataDir);
    assert.equal((await look()).kind, 'stopped');
    await markIncomplete(dataDir);
    await moveAside(dataDir, { why: 'a test', history: 'unproven' });
    await makeData();
    assert.equal((await look()).kind, 'stopped', 'the mark names the directory that was there before');
  });
});

describe('what is kept aside', () => {
  it('has no note after a crash, and stays then', async () => {
    for (const size of [40_000, 40_000]) {
      const path = siblingPath(dataDir, 'aside');
      await mkdir(path);
      await writeFile(join(path, 'file'), Buffer.alloc(size, 1));
    }
    const before = (await readdir(root)).sort();
    const kept = new KeptFolders(dataDir, { keep: 0, maxBytes: 60_000 }, assert.fail);
    await kept.tidy();
    assert.deepEqual((await readdir(root)).sort(), before);
    assert.equal(kept.summary.folders, 2);
    assert.match(kept.summary.held ?? '', /may be the only copy/);
  });

  it('is never a directory that Understudy did not make', async () => {
    await makeData();
    await rm(join(dataDir, 'understudy.json'));
    await assert.rejects(moveAside(dataDir, { why: 'a test', history: 'unproven' }), /not touched/);
  });
});

describe('the binary log', () => {
  it('is found by its newest file, also past 999999', async () => {
    await mkdir(dataDir);
    assert.equal(await newestBinlog(dataDir), null);
    for (const name of ['binlog.000009', 'binlog.999999', 'binlog.1000000', 'binlog.1000000.idx', 'binlog.index']) {
      await writeFile(join(dataDir, name), name);
    }
    assert.deepEqual(await newestBinlog(dataDir), { name: 'binlog.1000000', sizeBytes: 14 });
  });
});
