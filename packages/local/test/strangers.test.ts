// Folders that other users have made, or can change, are neither used nor changed; what a cluster makes itself is closed to them.
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { removeFolder } from '../src/cluster.ts';
import { LocalError } from '../src/errors.ts';
import { clusterPaths, outsideRunFolder, prepareFolders } from '../src/folder.ts';
import { lockFolder } from '../src/lock.ts';
import { describeCluster } from '../src/manage.ts';

const isRoot = process.geteuid?.() === 0;
const base = mkdtempSync(join(tmpdir(), 'us-strangers-'));
chmodSync(base, 0o755);
after(() => rmSync(base, { recursive: true, force: true }));
const modeOf = (path: string): number => statSync(path).mode & 0o7777;
const unusable = (pattern: RegExp) => (error: unknown) =>
  error instanceof LocalError && error.code === 'FOLDER_UNUSABLE' && pattern.test(error.message);

function make(name: string, mode: number): string {
  const path = join(base, name);
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
}

test('an existing folder keeps its mode, unless it is empty or a cluster is in it', async () => {
  const [other, empty, cluster] = [make('other', 0o755), make('empty', 0o755), make('cluster', 0o755)];
  writeFileSync(join(other, 'thesis.tex'), '');
  writeFileSync(join(cluster, 'state.json'), '{}');
  for (const folder of [other, empty, cluster]) await prepareFolders(folder, []);
  assert.equal(modeOf(other), 0o755);
  assert.deepEqual([empty, cluster].map(modeOf), isRoot ? [0o711, 0o711] : [0o700, 0o700]);
});

test('a folder where others may make names is refused, and stays as it is', async () => {
  for (const mode of [0o1777, 0o777, 0o770]) {
    const folder = make(`mode-${mode.toString(8)}`, mode);
    await assert.rejects(
      prepareFolders(folder, []),
      unusable(/Other users may make and replace files in .* chmod go-w/),
    );
    assert.throws(() => lockFolder(clusterPaths(folder)), unusable(/Other users/));
    assert.equal(modeOf(folder), mode);
    assert.equal(existsSync(join(folder, 'lock')), false);
  }
});

test("another user's folder is neither described, locked nor used", { skip: !isRoot }, async () => {
  const theirs = make('theirs', 0o700);
  writeFileSync(join(base, 'secret'), 'CANARY\n', { mode: 0o600 });
  symlinkSync(join(base, 'secret'), join(theirs, 'lock.owner'));
  writeFileSync(join(theirs, 'state.json'), '{}');
  chownSync(theirs, 54_321, 54_321);
  await assert.rejects(
    describeCluster({ folder: theirs }),
    unusable(/belongs to user 54321, and this command runs as user 0/),
  );
  assert.throws(() => lockFolder(clusterPaths(theirs)), unusable(/belongs to user 54321/));
  await assert.rejects(prepareFolders(theirs, []), unusable(/belongs to user 54321/));
  await assert.rejects(prepareFolders(join(theirs, 'ours'), []), unusable(/Another user can replace what is in/));
  assert.equal(readFileSync(join(base, 'secret'), 'utf8'), 'CANARY\n');
});

test('the lock and its note are closed, and a link in the place of the note is not followed', () => {
  const folder = make('locked', 0o700);
  writeFileSync(join(base, 'noted'), 'CANARY\n');
  symlinkSync(join(base, 'noted'), join(folder, 'lock.owner'));
  writeFileSync(join(folder, 'lock'), '', { mode: 0o644 });
  const paths = clusterPaths(folder);
  const lock = lockFolder(paths);
  assert.equal(readFileSync(join(base, 'noted'), 'utf8'), 'CANARY\n');
  assert.deepEqual([paths.lock, paths.owner].map(modeOf), [0o600, 0o600]);
  assert.equal(readFileSync(paths.owner, 'utf8'), `${process.pid}\n`);
  lock.release();
});

test('the folder for sockets is looked at before it is touched', async (t) => {
  const folder = join(base, 'l'.repeat(120));
  const outside = outsideRunFolder(folder);
  t.after(() => rmSync(outside, { recursive: true, force: true }));
  const target = make('target', 0o700);
  symlinkSync(target, outside);
  if (isRoot) lchownSync(outside, 54_321, 54_321);
  await assert.rejects(prepareFolders(folder, ['n1']), unusable(/is needed for sockets but belongs to somebody else/));
  assert.equal(modeOf(target), 0o700);
  writeFileSync(join(target, 'kept'), '');
  await removeFolder(folder);
  assert.ok(existsSync(join(target, 'kept')), 'what a link leads to stays');
  if (isRoot) assert.ok(lstatSync(outside).isSymbolicLink(), 'what is not ours stays');
});

test('a removal does not go along links that a server has made', async () => {
  const folder = make('removed', 0o700);
  const outside = make('outside', 0o700);
  writeFileSync(join(outside, 'kept'), '');
  mkdirSync(join(folder, 'n1', 'data'), { recursive: true });
  symlinkSync(outside, join(folder, 'n1', 'data', 'pg_wal'));
  await removeFolder(folder);
  assert.equal(existsSync(folder), false);
  assert.ok(existsSync(join(outside, 'kept')));
});
