import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { compareLsn, lsn, type WalPosition } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import {
  isMarkedIncomplete,
  KeptFolders,
  markIncomplete,
  moveAside,
  realDataDir,
  removeData,
  unmarkIncomplete,
} from '@understudy/engine/host';
import fc from 'fast-check';
import { logFolderFor, waldirOf } from '../src/clone/replaced.ts';
import { causeOf } from '../src/commands/start-words.ts';
import { renderInclude } from '../src/config/settings.ts';
import { ControlFileProblem, parseControlFile } from '../src/disk/control-file.ts';
import { crc32c } from '../src/disk/crc32c.ts';
import { forkPoint } from '../src/disk/fork.ts';
import { writeIdentity } from '../src/disk/identity.ts';
import { inspectDisk } from '../src/disk/inspect.ts';
import { forgetIfUnkept, noteCopied, noteInTime, openedByHand } from '../src/disk/opened.ts';
import { isLogUnmounted, parseHistory, recordEnd, segmentName } from '../src/disk/wal.ts';
import { collectedLogs } from '../src/process/server-process.ts';

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'us-disk-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('CRC-32C', () => {
  it('has the check values of RFC 3720', () => {
    assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
    assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
    assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43);
    assert.equal(crc32c(Buffer.alloc(0)), 0);
  });

  it('is the same however the data is cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (data, cut) => {
        assert.equal(crc32c(data.subarray(cut), crc32c(data.subarray(0, cut))), crc32c(data));
      }),
    );
  });
});

/** A control file of layout 17 with a right checksum. */
function controlFile(change: (bytes: Buffer) => void = () => undefined): Buffer {
  const bytes = Buffer.alloc(8192);
  bytes.writeBigUInt64LE(7710419145275202432n, 0);
  bytes.writeUInt32LE(1700, 8);
  bytes.writeUInt32LE(6, 16);
  bytes.writeBigUInt64LE(0x1_017218d8n, 32);
  bytes.writeUInt32LE(5, 48);
  bytes.writeInt32LE(100, 180);
  bytes.writeUInt32LE(8192, 224);
  bytes.writeUInt32LE(16 * 1024 * 1024, 228);
  bytes.writeUInt32LE(1, 252);
  change(bytes);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 288)), 288);
  return bytes;
}

describe('control file', () => {
  it('is read', () => {
    const control = parseControlFile(controlFile());
    assert.equal(control.systemId, '7710419145275202432');
    assert.equal(control.state, 'in production');
    assert.equal(control.checkpoint, 0x1_017218d8n);
    assert.equal(control.timeline, 5);
    assert.equal(control.limits.max_connections, 100);
    assert.equal(control.checksums, 'on');
  });

  it('is refused when any of its bytes was changed, or it is short, or of an unknown layout', () => {
    fc.assert(
      fc.property(fc.nat(291), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bytes = controlFile();
        bytes.writeUInt8(bytes.readUInt8(at) ^ flip, at);
        assert.throws(() => parseControlFile(bytes), ControlFileProblem);
      }),
    );
    assert.throws(() => parseControlFile(controlFile().subarray(0, 200)), /only 200 bytes/);
    assert.throws(() => parseControlFile(controlFile((bytes) => bytes.writeUInt32LE(903, 8))), /unknown version 903/);
  });
});

describe('log', () => {
  it('names files as PostgreSQL does', () => {
    const megabyte = 1024 * 1024;
    assert.equal(segmentName(1, lsn(0x1721950n), 16 * megabyte), '000000010000000000000001');
    assert.equal(segmentName(0x1f, lsn(0x2_ff000000n), 16 * megabyte), '0000001F00000002000000FF');
    assert.equal(segmentName(3, lsn(0x1_00000000n), megabyte), '000000030000000100000000');
  });

  it('finds the end of a record over page and segment borders', () => {
    const sizes = { block: 8192, segment: 1024 * 1024 };
    assert.equal(recordEnd(lsn(0x1000n), 114, sizes), 0x1078n);
    // 40 bytes are left on the page: the rest follows the next page's header of 24 bytes.
    assert.equal(recordEnd(lsn(0x1fd8n), 114, sizes), 0x2000n + 24n + 80n);
    // The next page is the first of a segment: its header has 40 bytes.
    assert.equal(recordEnd(lsn(0xfffd8n), 114, sizes), 0x100000n + 40n + 80n);
    assert.equal(recordEnd(lsn(0x1f88n), 120, sizes), 0x2000n, 'no header when it ends with the page');
  });

  it('never ends a record before its own length, and always aligned', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 1n << 40n), fc.integer({ min: 24, max: 100_000 }), (at, length) => {
        const start = lsn((at >> 3n) << 3n);
        const end = recordEnd(start, length, { block: 8192, segment: 1024 * 1024 });
        assert(end - start >= BigInt(length) && end % 8n === 0n);
      }),
    );
  });

  it('reads history files, with comments, and refuses nonsense', () => {
    assert.deepEqual(parseHistory('1\t0/1721950\tno recovery target specified\n\n3\t16/B374D848\tx\n'), [
      { timeline: 1, switchLsn: 0x1721950n },
      { timeline: 3, switchLsn: 0x16b374d848n },
    ]);
    assert.deepEqual(parseHistory('# a placeholder\n'), []);
    assert.equal(parseHistory('1\tnonsense\tx\n'), null);
  });

  it('finds where two histories part', () => {
    const at = (timeline: number, end: bigint, ...history: [number, bigint][]): WalPosition => ({
      kind: 'wal',
      timeline,
      lsn: lsn(end),
      history: history.map(([id, switchLsn]) => ({ timeline: id, switchLsn: lsn(switchLsn) })),
    });
    assert.equal(forkPoint(at(2, 500n, [1, 100n]), at(3, 900n, [1, 100n], [2, 400n])), 400n);
    assert.equal(
      forkPoint(at(2, 300n, [1, 100n]), at(3, 900n, [1, 100n], [2, 400n])),
      300n,
      'one is a part of the other',
    );
    assert.equal(forkPoint(at(2, 500n, [1, 100n]), at(3, 900n, [1, 80n])), 80n);
    assert.equal(forkPoint(at(1, 500n), at(2, 900n, [1, 700n])), 500n);
    assert.equal(forkPoint(at(7, 5n), at(8, 9n)), null);
    assert.equal(compareLsn(lsn(1n), lsn(2n)), -1);
  });
});

describe('data directory', () => {
  const expected = { cluster: 'c', major: 17 };
  const identity = { cluster: 'c', member: 'n1', systemId: '7710419145275202432', major: 17 };

  async function makeData(folder: string): Promise<string> {
    const dataDir = join(folder, 'data');
    await mkdir(join(dataDir, 'global'), { recursive: true });
    await writeFile(join(dataDir, 'PG_VERSION'), '17\n');
    await writeFile(join(dataDir, 'global', 'pg_control'), controlFile());
    await writeIdentity(dataDir, identity, null);
    return dataDir;
  }

  it('is absent, usable, or refused with the reason', () =>
    inFolder(async (folder) => {
      const dataDir = await makeData(folder);
      assert.equal((await inspectDisk(join(folder, 'nothing'), expected)).kind, 'absent');
      assert.equal((await inspectDisk(dataDir, expected)).kind, 'usable');
      const problemFor = async (change: () => Promise<unknown>): Promise<string> => {
        await change();
        const state = await inspectDisk(dataDir, expected);
        await makeData(folder);
        return state.kind === 'refused' ? state.problem : state.kind;
      };
      const rewrite = (patch: object) => () => writeIdentity(dataDir, { ...identity, ...patch }, null);
      assert.match(await problemFor(rewrite({ cluster: 'other' })), /belongs to the cluster "other"/);
      assert.match(await problemFor(rewrite({ systemId: '5' })), /system identifier 7710419145275202432/);
      assert.match(await problemFor(() => rm(join(dataDir, 'understudy.json'))), /Understudy did not make/);
      assert.match(await problemFor(() => writeFile(join(dataDir, 'understudy.json'), '{')), /is damaged/);
      assert.match(
        await problemFor(() => writeFile(join(dataDir, 'PG_VERSION'), '16\n')),
        /programs are PostgreSQL 17/,
      );
      assert.match(await problemFor(() => writeFile(join(dataDir, 'global', 'pg_control'), 'x')), /only 1 bytes/);
    }));

  it('stays incomplete only as long as it is the same directory', () =>
    inFolder(async (folder) => {
      const dataDir = await makeData(folder);
      await markIncomplete(dataDir);
      assert.equal((await inspectDisk(dataDir, expected)).kind, 'incomplete');
      await rm(dataDir, { recursive: true });
      assert.equal((await inspectDisk(dataDir, expected)).kind, 'absent');
      // Made while the old inode may still be remembered: another directory must be held beside it.
      await mkdir(join(folder, 'filler'));
      await makeData(folder);
      await unmarkIncomplete(dataDir);
      assert.equal(await isMarkedIncomplete(dataDir), false);
    }));

  it('is moved aside: what may be the only copy stays whatever the budget says; the rest goes oldest first', () =>
    inFolder(async (folder) => {
      for (let round = 0; round < 4; round++) {
        const dataDir = await makeData(folder);
        await writeFile(join(dataDir, `round-${round}`), '');
        await moveAside(dataDir, { why: 'a test', history: round === 0 ? 'unproven' : 'contained' });
      }
      const warned: string[] = [];
      const kept = new KeptFolders(join(folder, 'data'), { keep: 1, maxBytes: 0 }, (text) => warned.push(text));
      await kept.tidy();
      const asides = (await readdir(folder)).filter((name) => name.includes('aside')).sort();
      assert.equal(asides.length, 2);
      assert((await readdir(join(folder, asides[0] ?? ''))).includes('round-0'), 'it may be the only copy');
      assert((await readdir(join(folder, asides[1] ?? ''))).includes('round-3'), 'the newest is kept');
      assert.equal(warned.length, 2, 'what goes is named');
      assert.match(kept.summary.held ?? '', new RegExp(asides[0] ?? 'none'));
      await assert.rejects(kept.remove('data'), /Nothing of the name data is kept/);
      await kept.remove(asides[0] ?? '');
      assert.equal(kept.summary.held, null, 'an operator has let it go');
      const foreign = join(folder, 'data');
      await mkdir(foreign);
      await writeFile(join(foreign, 'precious'), 'x');
      await assert.rejects(moveAside(foreign, { why: 'a test', history: 'unproven' }), EngineError);
      assert.deepEqual(await readdir(foreign), ['precious']);
    }));
});

describe('where a data directory is', () => {
  const made = async (folder: string) => {
    const there = await realpath(folder);
    await mkdir(join(there, 'big', 'data'), { recursive: true });
    await mkdir(join(there, 'wal'));
    return there;
  };

  it('is found behind links, and beside it lies what is made of it', () =>
    inFolder(async (folder) => {
      const there = await made(folder);
      await symlink(join(there, 'big', 'data'), join(there, 'link'));
      assert.equal(await realDataDir(join(there, 'link')), join(there, 'big', 'data'));
      assert.equal(await realDataDir(join(there, 'big', 'new')), join(there, 'big', 'new'));
      await symlink('/nowhere/data', join(there, 'dangling'));
      await assert.rejects(realDataDir(join(there, 'dangling')), /is a link to \/nowhere\/data, which is not there/);
      await assert.rejects(realDataDir('/proc'), /mount point/);
    }));

  it('has its log elsewhere: that counts, and goes with it, but never that of another one', () =>
    inFolder(async (folder) => {
      const there = await made(folder);
      const [old, present] = [join(there, 'data.aside-1'), join(there, 'data')];
      for (const path of [old, present]) await mkdir(path);
      await writeFile(join(there, 'wal', 'segment'), Buffer.alloc(500_000, 1));
      await symlink(join(there, 'wal'), join(old, 'pg_wal'));
      const kept = new KeptFolders(present, { keep: 0, maxBytes: 0 }, () => undefined);
      assert(((await kept.list())[0]?.bytes ?? 0) >= 500_000);
      await symlink(join(there, 'wal'), join(present, 'pg_wal'));
      await kept.remove('data.aside-1');
      assert.deepEqual(await readdir(join(there, 'wal')), ['segment'], 'it is in use');
      await removeData(present, join(there, 'none'));
      assert.deepEqual(await readdir(there), ['big']);
    }));

  it('is told by initdb where its log is to be', () => {
    assert.equal(waldirOf(['--locale=C', '--waldir=/wal/n1']), '/wal/n1');
    assert.equal(waldirOf(['-X', '/wal/n1']), '/wal/n1');
    assert.equal(waldirOf(['--wal-segsize=64']), null);
  });
});

describe('what a server says when it does not start', () => {
  it('is damage of its data, or something that a copy would not mend', () => {
    for (const words of [
      'PANIC:  could not locate a valid checkpoint record at 0/3000028',
      'FATAL:  could not open file "global/pg_filenode.map": No such file or directory',
      'pg_wal lacks the log file 0000000000000003, which the server needs to be consistent.',
    ]) {
      assert.equal(causeOf(words), 'data', words);
    }
    for (const words of [
      'LOG:  invalid record length at 0/3000028: wanted 24, got 0 / FATAL:  terminating connection',
      '/mnt/wal has nothing of a server in it: its disk is probably not mounted.',
      'FATAL:  could not access file "nosuch": No such file or directory',
      'FATAL:  recovery aborted because of insufficient parameter settings',
      'FATAL:  could not map anonymous shared memory: Cannot allocate memory',
    ]) {
      assert.equal(causeOf(words), 'unknown', words);
    }
  });
});

describe("the files of a server's own log collector", () => {
  it('are those that it names, wherever they are', () =>
    inFolder(async (folder) => {
      assert.deepEqual(await collectedLogs(folder), []);
      await writeFile(join(folder, 'current_logfiles'), 'stderr /var/log/all.log\ncsvlog log/all.csv\n');
      const files = (await collectedLogs(folder)).map(({ path }) => path);
      assert.deepEqual(files, ['/var/log/all.log', join(folder, 'log', 'all.csv')]);
    }));
});

describe('a log whose disk is not mounted', () => {
  it('is told from one that is lost, and its place stays with the data that it belongs to', () =>
    inFolder(async (folder) => {
      const there = await realpath(folder);
      const [data, wal] = [join(there, 'data'), join(there, 'wal')];
      for (const path of [data, wal]) await mkdir(path);
      const place = { options: { dataDir: data, initdbArgs: [`--waldir=${wal}`] }, owner: null };
      assert.equal(await logFolderFor(place), wal, 'nothing is there that has it');
      await symlink(wal, join(data, 'pg_wal'));
      assert.equal(await isLogUnmounted(data), true);
      assert.notEqual(await logFolderFor(place), wal);
      await mkdir(join(wal, 'archive_status'));
      assert.equal(await isLogUnmounted(data), false, 'files of a server were deleted');
      await rm(wal, { recursive: true });
      assert.equal(await isLogUnmounted(data), true, 'not even the place is there');
    }));
});

describe('the note of an opening', () => {
  it('is on disk before the clock is asked, and taken back when it is too late', () =>
    inFolder(async (folder) => {
      const file = join(folder, 'understudy.opened');
      const asked: string[] = [];
      const isLate = (): boolean => {
        asked.push(readFileSync(file, 'utf8'));
        return asked.length !== 2;
      };
      const opened = { member: 'n1', timeline: 7 };
      assert.equal(await noteInTime(folder, opened, null, isLate), 'late');
      assert.deepEqual(await readdir(folder), [], 'nothing was noted before');
      await noteCopied(folder, 'n1', null);
      const before = await readFile(file, 'utf8');
      assert.equal(await noteInTime(folder, opened, null, isLate), 'noted');
      await noteCopied(folder, 'n1', null);
      assert.equal(await noteInTime(folder, opened, null, isLate), 'late');
      assert.equal(await readFile(file, 'utf8'), before);
      assert.deepEqual(
        asked.map((text) => JSON.parse(text)),
        [opened, opened, opened],
      );
    }));

  it('says nothing once an agent that keeps none has written the include', () =>
    inFolder(async (folder) => {
      const include = join(folder, 'understudy.conf');
      const control = { ...parseControlFile(controlFile()), state: 'in production' } as const;
      const more = { synchronousCommit: 'on', delayMs: 0, tls: {}, generation: '' };
      await noteCopied(folder, 'n1', null);
      await forgetIfUnkept(folder, include);
      await writeFile(include, renderInclude({ upstream: null, standbyNames: '' }, {}, more));
      await forgetIfUnkept(folder, include);
      assert.match((await openedByHand(folder, 'n1', control)) ?? '', /opened for writes by hand/);
      await writeFile(include, '# state: {"upstream":null,"standbyNames":""}\n');
      await forgetIfUnkept(folder, include);
      assert.equal(await openedByHand(folder, 'n1', control), null, 'after a downgrade it may have been its own agent');
    }));
});
