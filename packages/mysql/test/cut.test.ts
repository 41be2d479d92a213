import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { epoch, KEEP_END } from '@understudy/core';
import { filesToRecover, firstCheckpoint } from '../src/disk/checkpoint.ts';
import { changeIdentity, type DataIdentity, forgetOpened, parseIdentity, readIdentity } from '../src/disk/identity.ts';
import { otherWriter, serverIdOf } from '../src/disk/writer.ts';
import { canCut, mayCut } from '../src/tail/cut.ts';

const opened = { epoch: 3, writer: 'first' } as const;
const before = (value: number) => ({ kind: 'discard', before: epoch(value) }) as const;
const old = {
  cluster: 'shop',
  member: 'n1',
  flavour: 'mariadb',
  version: '11.8.6',
  systemId: '6bab964b-a8f2-48d0-bb16-c87c417392e2',
  received: 'applied',
  end: null,
};

describe('the end of a log', () => {
  it('may be cut off when another leader was elected after the one that wrote it, and nothing came since', () => {
    assert.equal(mayCut({ opened, end: null }, before(4)), true);
    assert.equal(mayCut({ opened, end: null }, before(3)), false, 'the leadership itself');
    assert.equal(mayCut({ opened, end: null }, before(2)), false, 'an old record');
    assert.equal(mayCut({ opened, end: null }, KEEP_END), false);
    assert.equal(mayCut({ opened: null, end: null }, before(9)), false, 'received, or never opened');
    assert.equal(mayCut({ opened, end: { position: never, log: null } }, before(9)), false, 'ended in order');
  });

  it('can be cut off by recoveries that have learned it', () => {
    for (const version of ['10.11.9', '10.11.18', '11.4.3', '11.8.6', '12.1.2']) {
      assert.equal(canCut({ flavour: 'mariadb', version }), true, version);
    }
    for (const version of ['10.11.8', '11.0.6', '11.3.2', '11.4.2', '11.5.1']) {
      assert.equal(canCut({ flavour: 'mariadb', version }), false, version);
    }
    assert.equal(canCut({ flavour: 'mysql', version: '9.7.4' }), false);
  });
});

const never = { kind: 'gtid' as const, set: {}, lineages: [], bytesPerTransaction: 1 };

describe('the number that a server writes under', () => {
  it('is the given one or another one, by turns', () => {
    assert.equal(serverIdOf(7, 'first'), 7);
    const second = serverIdOf(7, 'second');
    assert.equal(second, 2 ** 31 + 7);
    assert.equal(serverIdOf(second, 'second'), 7);
    assert.equal(serverIdOf(2 ** 31, 'second'), null, 'there is no number 0');
    assert.equal(otherWriter(otherWriter('first')), 'first');
  });
});

describe('the note of a leadership', () => {
  it('is not in data of an older version, and goes before anything is received', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'us-my-cut-'));
    try {
      const known = parseIdentity(JSON.stringify(old));
      assert.deepEqual([known?.opened, known?.writer], [null, 'first']);
      await changeIdentity(dataDir, null, (identity) => ({ ...identity, opened }));
      assert.equal(await readIdentity(dataDir), null, 'a directory without identity gets none');
      await writeFile(join(dataDir, 'understudy.json'), JSON.stringify(old));
      const note = (identity: DataIdentity): DataIdentity => ({ ...identity, opened });
      const ended = (identity: DataIdentity): DataIdentity => ({ ...identity, version: '11.8.7' });
      await Promise.all([note, ended].map((change) => changeIdentity(dataDir, null, change)));
      const noted = await readIdentity(dataDir);
      assert.deepEqual([noted?.opened, noted?.version], [opened, '11.8.7'], 'one change after the other');
      await forgetOpened(dataDir, null);
      assert.equal((await readIdentity(dataDir))?.opened, null);
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });
});

describe('what a recovery may change', () => {
  it('is the log from the file on that its newest one names', async () => {
    const root = await mkdtemp(join(tmpdir(), 'us-my-cut-'));
    try {
      const [dataDir, empty] = [join(root, 'data'), join(root, 'empty')];
      for (const folder of [dataDir, empty]) await mkdir(folder);
      for (const name of ['binlog.000007', 'binlog.000008', 'binlog.000009'])
        await writeFile(join(dataDir, name), log());
      assert.equal(await filesToRecover(dataDir), null, 'the newest file does not say');
      await writeFile(join(dataDir, 'binlog.000009'), log('./binlog.000008', 'binlog.000009'));
      assert.deepEqual(await filesToRecover(dataDir), ['binlog.000008', 'binlog.000009']);
      await writeFile(join(dataDir, 'binlog.000009'), log('binlog.000001'));
      assert.equal(await filesToRecover(dataDir), null, 'it is gone');
      assert.equal(await filesToRecover(empty), null);
      assert.equal(firstCheckpoint(log('binlog.000008').subarray(0, 60)), null, 'cut off in the middle');
    } finally {
      await rm(root, { recursive: true });
    }
  });
});

/** A log with an event that begins it, and one for each name. */
function log(...names: readonly string[]): Buffer {
  const events = names.map((name) => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(name.length);
    return event(161, Buffer.concat([size, Buffer.from(name), Buffer.alloc(4)]));
  });
  return Buffer.concat([Buffer.from('\xfebin', 'latin1'), event(15, Buffer.alloc(30)), ...events]);
}

function event(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(19);
  header.writeUInt8(type, 4);
  header.writeUInt32LE(19 + body.length, 9);
  return Buffer.concat([header, body]);
}
