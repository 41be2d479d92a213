import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseBackupMessage } from '../src/clone/base-backup.ts';
import { manifestChecksum, type UnpackedFile, verifyManifest } from '../src/clone/manifest.ts';
import { parseTarHeader, type TarEntry, TarProblem, TarReader } from '../src/clone/tar.ts';
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

async function readAll(archive: Buffer, cuts: readonly number[]): Promise<readonly (readonly [TarEntry, string])[]> {
  const found: [TarEntry, string][] = [];
  let content: Buffer[] = [];
  let entry: TarEntry | null = null;
  const reader = new TarReader({
    begin: async (begun) => {
      entry = begun;
      content = [];
    },
    data: async (bytes) => {
      content.push(Buffer.from(bytes));
    },
    end: async () => {
      if (entry !== null) found.push([entry, Buffer.concat(content).toString('hex')]);
    },
  });
  let at = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    const to = Math.min(Math.max(cut, at), archive.length);
    await reader.push(archive.subarray(at, to));
    at = to;
  }
  await reader.push(archive.subarray(at));
  reader.finish();
  return found;
}

describe('tar', () => {
  it('reads an archive however it is cut, with or without the end blocks', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.stringMatching(/^[a-z]{1,8}(\/[a-z]{1,8})?$/), fc.uint8Array({ maxLength: 1500 })), {
          maxLength: 5,
        }),
        fc.array(fc.nat(8000), { maxLength: 8 }),
        fc.boolean(),
        async (files, cuts, ended) => {
          const parts = files.flatMap(([name, content]) => [
            header(name, content.length),
            padded(Buffer.from(content)),
          ]);
          const archive = Buffer.concat([...parts, ...(ended ? [Buffer.alloc(1024)] : [])]);
          const found = await readAll(archive, cuts);
          assert.deepEqual(
            found.map(([entry, content]) => [entry.name, entry.sizeBytes, content]),
            files.map(([name, content]) => [name, content.length, Buffer.from(content).toString('hex')]),
          );
        },
      ),
    ));

  it('refuses damaged headers, names that lead outside, and an archive that is cut short', async () => {
    const damaged = header('file', 3);
    damaged[0] = 0x7a;
    assert.throws(() => parseTarHeader(damaged), TarProblem);
    for (const name of ['../x', '/etc/passwd', 'a/../../b'])
      assert.throws(() => parseTarHeader(header(name, 1)), /outside/);
    await assert.rejects(readAll(Buffer.concat([header('file', 700), Buffer.alloc(100)]), []), /middle of an entry/);
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
