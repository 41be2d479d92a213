/**
 * Goal: a store without room, or that must not be written, says so in calls that write, still answers reads, and goes on by itself.
 * Method: errors of SQLite itself; a file system of 1 MiB in a mount namespace, filled to the last byte (root).
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fromSqlite } from '../src/local/errors.ts';
import { makeLocalPlace } from './support/local.ts';

it('names a full disk and a file that must not be written by what SQLite says', (t) => {
  const place = makeLocalPlace();
  t.after(() => place.remove());
  const db = new DatabaseSync(place.path);
  t.after(() => db.close());
  db.exec('CREATE TABLE filler (bytes BLOB); PRAGMA max_page_count = 3');
  const full = thrownBy(() => db.exec('INSERT INTO filler VALUES (zeroblob(100000))'));
  const reader = new DatabaseSync(place.path, { readOnly: true });
  t.after(() => reader.close());
  const readOnly = thrownBy(() => reader.exec('DELETE FROM filler'));
  const seen = [full, readOnly].flatMap((error) =>
    (['before-commit', 'commit'] as const).map((phase) => {
      const { code, retry, message } = fromSqlite(error, place.path, phase);
      assert.ok(message.includes(place.path));
      return `${phase}: ${code}, ${retry}`;
    }),
  );
  // The frame that commits is the last one: without room it was certainly not written.
  assert.deepEqual(seen, [
    'before-commit: store-full, unsafe',
    'commit: store-full, unsafe',
    'before-commit: permission-denied, unsafe',
    'commit: permission-denied, unknown',
  ]);
});

it('refuses writes and renewals on a full disk, answers reads, and goes on when there is room', (t) => {
  const unshare = ['/usr/bin/unshare', '/bin/unshare'].find((path) => existsSync(path));
  if (process.getuid?.() !== 0 || unshare === undefined) return t.skip('needs root and unshare');
  const place = makeLocalPlace();
  t.after(() => place.remove());
  const child = fileURLToPath(new URL('support/full-disk.ts', import.meta.url));
  const script = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" "$3" "$1"';
  const args = ['--mount', 'sh', '-c', script, 'sh', place.folder, process.execPath, child];
  const { stdout, stderr } = spawnSync(unshare, args, { encoding: 'utf8', timeout: 60_000, killSignal: 'SIGKILL' });
  assert.deepEqual(
    stdout.trim().split('\n'),
    ['full: store-full, unsafe', 'renewal: store-full', 'read: as before', 'room: committed, alive'],
    stderr,
  );
  assert.ok(!existsSync(join(place.folder, 'store.sqlite')), 'the file system was of the child alone');
});

function thrownBy(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
}
