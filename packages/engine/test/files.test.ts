// A hostile owner of a folder puts every kind of thing in the place of a file: nothing outside changes, nothing of it gets in, nothing hangs.
// As root, with the folder another user's, and as an ordinary user in a folder of its own. What an operator may have set up still works.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdir, realpath, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { attacks, canary, endOf, pathsBelow, Siege } from '@understudy/engine/conformance';
import {
  boundLog,
  copyFile,
  copyFolder,
  createFile,
  entryAt,
  folderBytes,
  linkedLogOf,
  listFolder,
  makeFolder,
  type Owner,
  openLog,
  openToRead,
  readBytes,
  readEnd,
  readIfThere,
  realDataDir,
  removeData,
  removeFile,
  removeTree,
  renameTo,
  replaceFile,
  setFolderMode,
  syncFile,
  syncFolder,
  syncTree,
  withFile,
} from '@understudy/engine/host';

/** Users that need not exist: only their numbers count. */
const them = { uid: 54_321, gid: 54_321 };
const others = { uid: 54_322, gid: 54_322 };
const isRoot = process.geteuid?.() === 0;
const inTimeMs = 5000;
const copying = { bytesMax: 1024 ** 2 };

interface Place {
  readonly base: string;
  readonly siege: Siege;
  /** The folder whose owner is hostile. */
  readonly theirs: string;
  readonly owner: Owner;
}

const places: Place[] = [];
let place: Place;

function prepare(): void {
  const base = mkdtempSync(join(tmpdir(), 'us-files-'));
  const theirs = join(base, 'theirs');
  chmodSync(base, 0o755);
  mkdirSync(theirs, { mode: 0o755 });
  if (isRoot) chownSync(theirs, them.uid, them.gid);
  const owner = isRoot ? them : null;
  place = { base, siege: new Siege(owner), theirs, owner };
  places.push(place);
}

/** Also what only a value test can plant without a server in its way. */
const kinds = [...attacks, 'a socket'] as const;

async function plant(attack: (typeof kinds)[number], path: string): Promise<void> {
  if (attack !== 'a socket') return place.siege.plant(attack, path);
  const server = createServer();
  closers.push(() => server.close());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
    server.unref();
  });
  if (isRoot) lchownSync(path, them.uid, them.gid);
}

const closers: (() => void)[] = [];

/** Everything that an agent does with a file of that name, by the names of the functions that it does it with. */
const operations: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
  readIfThere: (path) => readIfThere(path),
  readBytes: (path) => readBytes(path),
  openToRead: (path) => withFile(openToRead(path), async (file) => (await file.stat()).size),
  readEnd: (path) => readEnd(path, 4000),
  replaceFile: (path) => replaceFile(path, 'ours\n', place.owner),
  'replaceFile, then read': async (path) => {
    await replaceFile(path, 'ours\n', place.owner, { durability: 'cached' });
    return readIfThere(path);
  },
  createFile: (path) => withFile(createFile(path, place.owner), (file) => file.writeFile('ours\n')),
  'copyFile from it': (path) => copyFile(path, join(place.theirs, 'copy'), place.owner, copying),
  'copyFile to it': (path) => {
    const from = join(place.theirs, 'from');
    return replaceFile(from, 'ours\n', place.owner).then(() => copyFile(from, path, place.owner, copying));
  },
  'copyFolder of what holds it': () => copyFolder(place.theirs, join(place.base, 'copied'), place.owner, copying),
  'copyFolder to it': (path) => copyFolder(join(place.base, 'template'), path, place.owner, copying),
  removeFile: (path) => removeFile(path),
  removeTree: (path) => removeTree(path),
  'removeTree of what holds it': () => removeTree(place.theirs),
  'renameTo another name': (path) => renameTo(path, join(place.theirs, 'other')),
  'renameTo its place': async (path) => {
    const from = join(place.theirs, 'from');
    await replaceFile(from, 'ours\n', place.owner);
    await renameTo(from, path);
  },
  makeFolder: (path) => makeFolder(path, place.owner, 0o755),
  'makeFolder in it': (path) => makeFolder(join(path, 'made'), place.owner),
  'replaceFile in it': (path) => replaceFile(join(path, 'secret'), 'ours\n', place.owner),
  'removeFile in it': (path) => removeFile(join(path, 'file')),
  'readIfThere in it': (path) => readIfThere(join(path, 'file')),
  'openLog, then a server writes': async (path) => {
    const log = await openLog(path, place.owner, 1024 ** 2);
    try {
      await log.writeFile('a line of the server\n');
    } finally {
      await log.close();
    }
    assert.match(readFileSync(path, 'utf8'), /a line of the server\n$/, 'the server has a log');
  },
  boundLog: (path) => boundLog(path, place.owner, 1024 ** 2),
  'boundLog with it as the old log': async (path) => {
    const log = path.replace(/\.1$/, '');
    await replaceFile(log, 'x'.repeat(100), place.owner);
    await boundLog(log, place.owner, 10);
  },
  setFolderMode: (path) => setFolderMode(path, 0o777),
  syncFile: (path) => syncFile(path),
  syncFolder: (path) => syncFolder(path),
  syncTree: () => syncTree(place.theirs),
  folderBytes: () => folderBytes(place.theirs),
  listFolder: (path) => listFolder(path),
  entryAt: async (path) => (await entryAt(path))?.size,
};

/** Whether something that was hidden is now in a file of the hostile user, or was handed out. */
function leaks(end: unknown): readonly string[] {
  const given =
    end instanceof Error ? end.message : Buffer.isBuffer(end) ? end.toString() : JSON.stringify(end ?? null);
  const returned = given.includes('CANARY') ? ['what was returned'] : [];
  return [...returned, ...place.siege.leaksIn(place.theirs), ...place.siege.leaksIn(join(place.base, 'copied'))];
}

after(() => {
  for (const { base, siege } of places) {
    siege.end();
    rmSync(base, { recursive: true, force: true });
  }
});

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

describe(isRoot ? 'as root, in the folder of another user' : 'as an ordinary user', () => {
  for (const [operation, work] of Object.entries(operations)) {
    test(operation, async () => {
      for (const attack of kinds) {
        prepare();
        await mkdir(join(place.base, 'template'));
        const path = join(place.theirs, operation.includes('old log') ? 'f.1' : 'f');
        await plant(attack, path);
        const what = `${operation} on ${attack}`;
        const before = place.siege.fingerprint();
        const end = await endOf(work(path), what, inTimeMs);
        assert.ok(!(end instanceof assert.AssertionError), String(end));
        // A user's file under another name, and a user's folder behind a link, are that user's all the same.
        const isOwn = !isRoot && (attack === 'another name of a file' || operation.endsWith(' in it'));
        if (!isOwn) assert.equal(place.siege.fingerprint(), before, `${what} changes what is outside (${String(end)})`);
        // An ordinary user reads what it may read anyway.
        if (isRoot) assert.deepEqual(leaks(end), [], `${what} lets something out`);
        for (const close of closers.splice(0)) close();
      }
    });
  }
});

test('all of that as an ordinary user', { skip: !isRoot }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'us-files-'));
  chownSync(folder, them.uid, them.gid);
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const env = { PATH: process.env.PATH, TMPDIR: folder };
  const canRun = await run('cat', [import.meta.filename, process.execPath], env).then(
    () => true,
    () => false,
  );
  if (!canRun) return t.skip('another user can pass through neither this checkout nor its Node');
  const args = ['--test-reporter=tap', import.meta.filename];
  await run(process.execPath, args, env).catch((error: unknown) => {
    assert.fail(
      typeof error === 'object' && error !== null && 'stdout' in error ? String(error.stdout) : String(error),
    );
  });
});

/** Runs a program as the hostile user. */
const run = (program: string, args: readonly string[], env: NodeJS.ProcessEnv) =>
  promisify(execFile)(program, args, { ...them, env, cwd: '/', maxBuffer: 1024 ** 3, encoding: 'buffer' });

/** Names and owners of everything in a folder. */
const contentOf = (folder: string): string =>
  pathsBelow(folder)
    .map((path) => `${path} ${lstatSync(path).uid}`)
    .join('\n');

describe('what an operator may have set up', { skip: !isRoot }, () => {
  beforeEach(() => prepare());

  test('links in folders of root are followed', async () => {
    await symlink(place.theirs, join(place.base, 'link'));
    await symlink(place.siege.secret, join(place.base, 'cert.pem'));
    await replaceFile(join(place.base, 'link', 'f'), 'ours\n', them);
    assert.equal(readFileSync(join(place.theirs, 'f'), 'utf8'), 'ours\n');
    assert.equal(statSync(join(place.theirs, 'f')).uid, them.uid);
    assert.equal(await readIfThere(join(place.base, 'cert.pem')), canary);
  });

  test('the log may be a link to a folder of the same user, and to no other', async () => {
    const [good, bad] = [join(place.base, 'wal'), join(place.base, 'wal-of-others')];
    for (const [folder, { uid, gid }] of [
      [good, them],
      [bad, others],
    ] as const) {
      await mkdir(folder, { mode: 0o755 });
      chownSync(folder, uid, gid);
      writeFileSync(join(folder, '00000002.history'), '1\t0/3000000\n');
      chownSync(join(folder, '00000002.history'), uid, gid);
    }
    const wal = join(place.theirs, 'pg_wal');
    await symlink(good, wal);
    assert.equal(await readIfThere(join(wal, '00000002.history')), '1\t0/3000000\n');
    assert.equal(await linkedLogOf(place.theirs), await realpath(good));
    await replaceFile(join(wal, 'f'), 'ours\n', them);
    assert.equal((await listFolder(wal)).length, 2);
    await removeData(place.theirs, join(place.base, 'data'));
    assert.equal(await entryAt(good), null, 'it goes with the directory');

    await mkdir(place.theirs);
    chownSync(place.theirs, them.uid, them.gid);
    await symlink(bad, wal);
    const before = contentOf(bad);
    await assert.rejects(readIfThere(join(wal, '00000002.history')), { code: 'PATH_UNTRUSTED' });
    await assert.rejects(replaceFile(join(wal, 'f'), 'ours\n', them), { code: 'PATH_UNTRUSTED' });
    assert.equal(await linkedLogOf(place.theirs), null);
    await removeData(place.theirs, join(place.base, 'data'));
    assert.equal(contentOf(bad), before);
  });

  test('a file of root that everybody may read is read, and not written to', async () => {
    const file = join(place.theirs, 'pg_hba.conf');
    writeFileSync(file, 'local all all reject\n');
    chmodSync(file, 0o644);
    assert.equal(await readIfThere(file), 'local all all reject\n');
    await assert.rejects(boundLog(file, them, 1), { code: 'PATH_UNTRUSTED' });
    chmodSync(file, 0o600);
    await assert.rejects(readIfThere(file), { code: 'PATH_UNTRUSTED' });
    chownSync(file, 0, them.gid);
    chmodSync(file, 0o640);
    assert.equal(await readIfThere(file), 'local all all reject\n');
  });

  test('what is made in the folder of another user belongs to that user', async () => {
    await replaceFile(join(place.theirs, 'note'), 'x', null);
    await makeFolder(join(place.theirs, 'folder'), null);
    const log = await openLog(join(place.theirs, 'log'), null, 1);
    await log.close();
    for (const name of ['note', 'folder', 'log']) assert.equal(statSync(join(place.theirs, name)).uid, them.uid, name);
  });

  test('a data directory is not taken for where a link of its owner leads', async () => {
    const victim = join(place.base, 'victim');
    await mkdir(victim);
    await symlink(victim, join(place.theirs, 'data'));
    await assert.rejects(realDataDir(join(place.theirs, 'data')), /link of user 54321/);
    await symlink(place.theirs, join(place.base, 'data'));
    assert.equal(await realDataDir(join(place.base, 'data')), await realpath(place.theirs));
  });

  test('a name that a hostile file gives is read with the rights of its owner', async () => {
    await assert.rejects(readEnd(place.siege.secret, 100, 0, them), { code: 'PATH_UNTRUSTED' });
    await assert.rejects(readEnd('/proc/self/environ', 100, 0, them), { code: 'PATH_UNTRUSTED' });
    writeFileSync(join(place.base, 'public'), 'public\n');
    chmodSync(join(place.base, 'public'), 0o644);
    assert.equal((await readEnd(join(place.base, 'public'), 100, 0, them)).text, 'public\n');
  });

  test('in a folder of everybody, what is ours is used, and nothing of others', async () => {
    const shared = join(place.base, 'tmp');
    await mkdir(shared);
    chmodSync(shared, 0o1777);
    await makeFolder(join(shared, 'ours'), null);
    await replaceFile(join(shared, 'ours', 'f'), 'ours\n', null);
    assert.equal(await readIfThere(join(shared, 'ours', 'f')), 'ours\n');
    await symlink(place.siege.outside, join(shared, 'link'));
    lchownSync(join(shared, 'link'), others.uid, others.gid);
    await assert.rejects(readIfThere(join(shared, 'link', 'secret')), { code: 'PATH_UNTRUSTED' });
    writeFileSync(join(shared, 'f'), 'x');
    chownSync(join(shared, 'f'), others.uid, others.gid);
    await removeTree(join(shared, 'ours'));
    assert.equal(statSync(join(shared, 'ours'), { throwIfNoEntry: false }), undefined);
    await assert.rejects(removeFile(join(shared, 'f')), { code: 'PATH_UNTRUSTED' });
    await assert.rejects(replaceFile(join(shared, 'f'), 'ours\n', null), { code: 'PATH_UNTRUSTED' });
  });

  test('a volume of secrets, a sticky folder in which root has made links, is read through them', async () => {
    const volume = join(place.base, 'volume');
    await mkdir(join(volume, '..1'), { recursive: true });
    chmodSync(volume, 0o1777);
    writeFileSync(join(volume, '..1', 'secrets.json'), 'secrets\n');
    await symlink('..1', join(volume, '..data'));
    await symlink('..data/secrets.json', join(volume, 'secrets.json'));
    assert.equal(await readIfThere(join(volume, 'secrets.json')), 'secrets\n');
    lchownSync(join(volume, '..data'), others.uid, others.gid);
    await assert.rejects(readIfThere(join(volume, 'secrets.json')), { code: 'PATH_UNTRUSTED' });
  });

  test("root's folder in the place of one of the server's user is neither written to nor emptied", async () => {
    const parent = join(place.theirs, 'parent');
    for (const folder of [parent, join(parent, 'data'), join(parent, 'data', 'inside')]) await mkdir(folder);
    chownSync(parent, them.uid, them.gid);
    writeFileSync(join(parent, 'data', 'inside', 'f'), 'of root\n');
    const there = (name: string) => join(parent, 'data', name);
    const refusal = { code: 'PATH_UNTRUSTED' };
    await assert.rejects(
      createFile(there('new'), them, 0o600).then((file) => file.close()),
      refusal,
    );
    await assert.rejects(replaceFile(there('new'), 'x', them), refusal);
    await assert.rejects(makeFolder(there('new'), them), refusal);
    await assert.rejects(renameTo(there('inside'), there('other')), refusal);
    await assert.rejects(removeFile(join(parent, 'data', 'inside', 'f')), refusal);
    await assert.rejects(removeTree(join(parent, 'data')), refusal);
    assert.equal(readFileSync(join(parent, 'data', 'inside', 'f'), 'utf8'), 'of root\n');
  });

  test('the end of a log is kept, and the file is emptied under the server', async () => {
    const file = join(place.theirs, 'server.log');
    const log = await openLog(file, them, 1024 ** 2);
    await log.writeFile(`${'x'.repeat(1_500_000)}end\n`);
    await boundLog(file, them, 1024 ** 2);
    await log.writeFile('next\n');
    await log.close();
    assert.equal(readFileSync(file, 'utf8'), 'next\n');
    assert.match(readFileSync(`${file}.1`, 'utf8'), /xend\n$/);
    assert.equal(statSync(`${file}.1`).uid, them.uid);
  });
});

/** Makes a folder a link, and a folder again, as fast as a process can; what is removed meanwhile it makes anew. */
const exchanger = `
const { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync } = require('node:fs');
const [, folder, outside] = process.argv;
process.chdir(folder);
const trying = (work) => { try { work(); } catch {} };
console.log('begun');
for (;;) {
  trying(() => rmSync('x', { recursive: true, force: true }));
  trying(() => mkdirSync('d'));
  trying(() => renameSync('d', 'x'));
  trying(() => symlinkSync(outside, 'd'));
  trying(() => unlinkSync('d'));
  trying(() => renameSync('x', 'd'));
}`;

describe('while names are exchanged', { skip: !isRoot }, () => {
  test('nothing outside is written, removed, or read', async (t) => {
    prepare();
    const before = place.siege.fingerprint();
    const args = ['-e', exchanger, place.theirs, place.siege.outside];
    const attacker = spawn(process.execPath, args, { ...them, stdio: ['ignore', 'pipe', 'ignore'] });
    const ended = once(attacker, 'exit').catch(() => undefined);
    await Promise.race([once(attacker.stdout, 'data'), ended]);
    if (attacker.pid === undefined || attacker.exitCode !== null) return t.skip('another user cannot run this Node');
    try {
      const endMs = performance.now() + 1500;
      const d = join(place.theirs, 'd');
      while (performance.now() < endMs) {
        await endOf(removeTree(join(d, 'folder')), 'removeTree');
        await endOf(removeFile(join(d, 'secret')), 'removeFile');
        await endOf(replaceFile(join(d, 'secret'), 'ours\n', them, { durability: 'cached' }), 'replaceFile');
        await endOf(removeTree(d), 'removeTree');
        const text = await endOf(readIfThere(join(d, 'secret')), 'readIfThere');
        assert.ok(!String(text).includes('CANARY'));
        await endOf(setFolderMode(d, 0o711), 'setFolderMode');
      }
    } finally {
      attacker.kill('SIGKILL');
      await ended;
    }
    assert.equal(place.siege.fingerprint(), before);
  });
});
