import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseBackupMessage } from '../src/clone/base-backup.ts';
import { CopyDataFilter } from '../src/clone/copy-data.ts';
import { manifestChecksum, type UnpackedFile, verifyManifest } from '../src/clone/manifest.ts';
import { parseTarHeader, type TarEntry, TarProblem, TarReader } from '../src/clone/tar.ts';
import { Unpacker } from '../src/clone/unpack.ts';
import { crc32c } from '../src/disk/crc32c.ts';

/** A header as PostgreSQL's `tarCreateHeader` writes it. */
function header(name: string, sizeBytes: number, type = '0'): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 100);
  block.write('0000600\0', 100);
  if (sizeBytes < 8 * 1024 ** 3) block.write(sizeBytes.toString(8).padStart(11, '0'), 124);
  else {
    block[124] = 0x80;
    Buffer.from(BigInt(sizeBytes).toString(16).padStart(22, '0'), 'hex').copy(block, 125);
  }
  block.write(type, 156);
  block.write('ustar\x0000', 257);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

const padded = (content: Buffer): Buffer =>
  Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)]);

function readAll(archive: Buffer, cuts: readonly number[]): readonly (readonly [TarEntry, string])[] {
  const found: [TarEntry, string][] = [];
  let content: Buffer[] = [];
  let entry: TarEntry | null = null;
  const reader = new TarReader({
    begin: (begun) => {
      entry = begun;
      content = [];
    },
    data: (bytes) => {
      content.push(Buffer.from(bytes));
    },
    end: () => {
      if (entry !== null) found.push([entry, Buffer.concat(content).toString('hex')]);
    },
  });
  let at = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    const to = Math.min(Math.max(cut, at), archive.length);
    reader.push(archive.subarray(at, to));
    at = to;
  }
  reader.push(archive.subarray(at));
  reader.finish();
  return found;
}

describe('tar', () => {
  it('reads an archive however it is cut, with or without the end blocks', () =>
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.stringMatching(/^[a-z]{1,8}(\/[a-z]{1,8})?$/), fc.uint8Array({ maxLength: 1500 })), {
          maxLength: 5,
        }),
        fc.array(fc.nat(8000), { maxLength: 8 }),
        fc.boolean(),
        (files, cuts, ended) => {
          const parts = files.flatMap(([name, content]) => [
            header(name, content.length),
            padded(Buffer.from(content)),
          ]);
          const archive = Buffer.concat([...parts, ...(ended ? [Buffer.alloc(1024)] : [])]);
          const found = readAll(archive, cuts);
          assert.deepEqual(
            found.map(([entry, content]) => [entry.name, entry.sizeBytes, content]),
            files.map(([name, content]) => [name, content.length, Buffer.from(content).toString('hex')]),
          );
        },
      ),
    ));

  it('refuses damaged headers, names that lead outside, and an archive that is cut short', () => {
    const damaged = header('file', 3);
    damaged[0] = 0x7a;
    assert.throws(() => parseTarHeader(damaged), TarProblem);
    for (const name of ['../x', '/etc/passwd', 'a/../../b'])
      assert.throws(() => parseTarHeader(header(name, 1)), /outside/);
    assert.throws(() => readAll(Buffer.concat([header('file', 700), Buffer.alloc(100)]), []), /middle of an entry/);
    assert.equal(parseTarHeader(header('pg_tblspc/16385', 0, '2'))?.kind, 'link');
    assert.equal(parseTarHeader(header('base', 0, '5'))?.kind, 'folder');
    assert.equal(parseTarHeader(header('big', 9 * 1024 ** 3))?.sizeBytes, 9 * 1024 ** 3);
  });
});

describe('backup messages', () => {
  it('are told apart', () => {
    assert.deepEqual(parseBackupMessage(Buffer.from('nbase.tar\0\0')), { kind: 'archive', name: 'base.tar' });
    assert.deepEqual(parseBackupMessage(Buffer.from('m')), { kind: 'manifest' });
    const progress = Buffer.alloc(9);
    progress.write('p');
    progress.writeBigInt64BE(77n, 1);
    assert.deepEqual(parseBackupMessage(progress), { kind: 'progress', doneBytes: 77 });
    assert.equal(parseBackupMessage(Buffer.from('?')), null);
  });
});

describe('copy data', () => {
  const framed = (code: string, body: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.write(code);
    head.writeUInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };

  it('is taken out of what a server sends, however it is cut; everything else goes on unchanged', () =>
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('dd', 'dp', 'T', 'Z', 'N'), fc.uint8Array({ maxLength: 60 })), {
          maxLength: 12,
        }),
        fc.array(fc.nat(700), { maxLength: 20 }),
        (messages, cuts) => {
          const stream: Buffer[] = [];
          const [content, other, whole]: [Buffer[], Buffer[], string[]] = [[], [], []];
          for (const [[code = '', kind = ''], body] of messages) {
            const bytes = Buffer.concat([Buffer.from(kind), body]);
            stream.push(framed(code, bytes));
            if (code !== 'd') other.push(framed(code, bytes));
            else if (kind === 'd') content.push(Buffer.from(body));
            else whole.push(bytes.toString('hex'));
          }
          const [gotContent, gotOther, gotWhole]: [Buffer[], Buffer[], string[]] = [[], [], []];
          const filter = new CopyDataFilter({
            content: (bytes) => gotContent.push(Buffer.from(bytes)),
            other: (bytes) => gotOther.push(Buffer.from(bytes)),
            message: (bytes) => gotWhole.push(bytes.toString('hex')),
          });
          const all = Buffer.concat(stream);
          // As the socket does it: the same memory again and again.
          const memory = Buffer.alloc(Math.max(1, all.length));
          const ends = [...cuts.map((cut) => Math.min(cut, all.length)), all.length].sort((a, b) => a - b);
          let at = 0;
          for (const end of ends) {
            all.copy(memory, 0, at, end);
            filter.push(memory.subarray(0, end - at));
            at = end;
          }
          assert.deepEqual(Buffer.concat(gotContent), Buffer.concat(content));
          assert.deepEqual(Buffer.concat(gotOther), Buffer.concat(other));
          assert.deepEqual(gotWhole, whole);
        },
      ),
    ));
});

describe('unpacking', () => {
  const entry = (name: string, sizeBytes: number): TarEntry => ({ name, kind: 'file', sizeBytes });

  it('writes what comes, whatever the size, with the checksum of it', async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'us-unpack-'));
    t.after(() => rm(root, { recursive: true, force: true }));
    const sizes = [0, 1, 8192, 1024 ** 2, 1024 ** 2 + 1, 34 * 1024 ** 2 + 77, 3];
    const unpacker = new Unpacker(root, null);
    const contents = sizes.map((size, i) => Buffer.alloc(size, `content ${i} of a file`));
    for (const [i, content] of contents.entries()) {
      unpacker.begin(entry(`folder/${i % 3}/file${i}`, content.length));
      for (let at = 0; at < content.length; at += 300_007) {
        const memory = Buffer.from(content.subarray(at, at + 300_007));
        unpacker.data(memory);
        memory.fill(0);
        if (unpacker.isFull) await unpacker.room();
      }
      unpacker.end();
    }
    await unpacker.finish();
    for (const [i, content] of contents.entries()) {
      const name = `folder/${i % 3}/file${i}`;
      assert.ok(content.equals(await readFile(join(root, name))), name);
      assert.deepEqual(unpacker.files.get(name), { sizeBytes: content.length, checksum: crc32c(content) });
    }
  });

  it('says what the file system refuses, and lets go of what it had begun', async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'us-unpack-'));
    t.after(() => rm(root, { recursive: true, force: true }));
    await writeFile(join(root, 'taken'), '');
    const unpacker = new Unpacker(root, null);
    for (const name of ['a', 'taken/b', 'c']) {
      unpacker.begin(entry(name, 10));
      unpacker.data(Buffer.alloc(10));
      unpacker.end();
    }
    unpacker.begin(entry('in the middle', 3 * 1024 ** 2));
    unpacker.data(Buffer.alloc(2 * 1024 ** 2));
    await assert.rejects(unpacker.finish(), /ENOTDIR|EEXIST/);
    await assert.rejects(unpacker.room(), /ENOTDIR|EEXIST/);
    await unpacker.abandon();
  });
});

describe('manifest', () => {
  const content = Buffer.from('some content');
  const file: UnpackedFile = { sizeBytes: content.length, checksum: crc32c(content) };

  function manifest(change: (text: string) => string = (text) => text): Buffer {
    const entry = {
      Path: 'base/1/2',
      Size: content.length,
      'Checksum-Algorithm': 'CRC32C',
      Checksum: manifestChecksum(file.checksum),
    };
    const head = `{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n${JSON.stringify(entry)}],\n`;
    const sum = createHash('sha256').update(head).digest('hex');
    return Buffer.from(change(`${head}"Manifest-Checksum": "${sum}"}\n`));
  }

  it('accepts a copy that is identical', () => {
    assert.equal(verifyManifest(manifest(), new Map([['base/1/2', file]])), null);
  });

  it('finds what differs', () => {
    assert.match(verifyManifest(manifest(), new Map()) ?? '', /base\/1\/2 is missing/);
    assert.match(verifyManifest(manifest(), new Map([['base/1/2', { ...file, sizeBytes: 3 }]])) ?? '', /3 bytes/);
    assert.match(verifyManifest(manifest(), new Map([['base/1/2', { ...file, checksum: 1 }]])) ?? '', /checksum/);
    const files = new Map([['base/1/2', file]]);
    assert.match(
      verifyManifest(
        manifest((text) => text.replace('base/1/2', 'base/1/3')),
        files,
      ) ?? '',
      /manifest/,
    );
    assert.match(
      verifyManifest(
        manifest((text) => text.slice(0, 40)),
        files,
      ) ?? '',
      /damaged/,
    );
  });
});
