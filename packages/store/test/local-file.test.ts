/**
 * Goal: a file that is missing, foreign, damaged, newer, unreadable, replaced or from before a reboot gets a clear error
 * or the right treatment, and is never harmed. Method: such files, made by hand.
 */

import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { it, type TestContext } from 'node:test';
import { openStore, type Snapshot, type Store, StoreError, type StoreErrorCode } from '@understudy/store';
import { WatchLog } from '@understudy/store/conformance';
import { type LocalPlace, makeLocalPlace } from './support/local.ts';
import { waitUntil } from './support/process.ts';

const CALL = { deadlineMs: 5_000 };

function setUp(t: TestContext): LocalPlace {
  const place = makeLocalPlace();
  t.after(() => place.remove());
  return place;
}

async function openIn(t: TestContext, place: LocalPlace): Promise<Store> {
  const store = await place.open();
  t.after(() => store.close());
  return store;
}

async function refused(call: Promise<unknown>, code: StoreErrorCode): Promise<StoreError> {
  const error = await call.then(
    () => assert.fail(`expected ${code}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof StoreError, String(error));
  assert.equal(error.code, code, error.message);
  assert.equal(error.retry, 'unsafe');
  return error;
}

async function put(store: Store, key: string, lease?: { id: Awaited<ReturnType<Store['grantLease']>>['id'] }) {
  return store.transact([], [{ kind: 'put', key, value: 'v', ...(lease && { lease: lease.id }) }], CALL);
}

/** Changes the file behind the store's back. */
function edit(path: string, sql: string): void {
  const db = new DatabaseSync(path, { timeout: 5_000 });
  db.exec(sql);
  db.close();
}

it('makes the file, its log and its bell readable by the owner only', async (t) => {
  const place = setUp(t);
  const store = await openIn(t, place);
  await put(store, 'k');
  for (const suffix of ['', '-wal', '-shm', '-bell']) assert.equal(statSync(place.path + suffix).mode & 0o777, 0o600);
});

it('keeps everything across restarts', async (t) => {
  const place = setUp(t);
  const first = await place.open();
  await put(first, 'k');
  const before = await first.read(CALL);
  await first.close();
  const again = await place.open();
  assert.deepEqual(await again.read(CALL), before);
  await again.close();
});

it('is the same store by whatever path it is reached', async (t) => {
  const place = setUp(t);
  const store = await openIn(t, place);
  const link = join(place.folder, 'link');
  symlinkSync(place.path, link);
  const linked = await openStore({ kind: 'local', path: link, cluster: 'test' });
  t.after(() => linked.close());
  const log = WatchLog.start(linked);
  await put(store, 'k');
  await log.until('the key', ({ entries }) => entries.has('k'));
  await log.close();
  assert.ok(!existsSync(`${link}-bell`));
});

it('names a missing folder', async (t) => {
  const place = setUp(t);
  rmSync(place.folder, { recursive: true });
  const error = await refused(place.open(), 'folder-missing');
  assert.ok(error.message.includes(place.path));
  assert.ok(!existsSync(place.folder));
});

it('refuses a folder in place of the file', async (t) => {
  const place = setUp(t);
  mkdirSync(place.path);
  await refused(place.open(), 'not-a-store');
});

it('refuses files that are not its own, and leaves them as they were', async (t) => {
  for (const make of [
    (path: string) => writeFileSync(path, `${'This is a diary, not a database. '.repeat(100)}\n`),
    (path: string) => edit(path, 'CREATE TABLE diary (day TEXT); INSERT INTO diary VALUES (1)'),
    (path: string) => edit(path, 'PRAGMA application_id = 7; CREATE TABLE diary (day TEXT)'),
  ]) {
    const place = setUp(t);
    make(place.path);
    const before = readFileSync(place.path);
    await refused(place.open(), 'not-a-store');
    assert.deepEqual(readFileSync(place.path), before);
  }
});

it('refuses a file of a newer version', async (t) => {
  const place = setUp(t);
  await (await place.open()).close();
  edit(place.path, 'PRAGMA user_version = 2');
  const error = await refused(place.open(), 'schema-too-new');
  assert.match(error.message, /Upgrade/);
});

it('uses an empty file, which a killed process may have left', async (t) => {
  const place = setUp(t);
  writeFileSync(place.path, '');
  assert.equal((await (await openIn(t, place)).read(CALL)).entries.size, 0);
});

it('says that a damaged file is damaged', async (t) => {
  const place = setUp(t);
  const store = await place.open();
  for (let n = 0; n < 100; n += 1) await put(store, `key-${n}`.padEnd(200, '.'));
  await store.close();
  const bytes = readFileSync(place.path);
  bytes.fill(0xa5, 4096);
  writeFileSync(place.path, bytes);
  await refused(
    place.open().then((opened) => {
      t.after(() => opened.close());
      return opened.read(CALL);
    }),
    'corrupt',
  );
});

it('says so when this user may not use the file or its folder', async (t) => {
  const place = setUp(t);
  await (await place.open()).close();
  if (process.getuid?.() !== 0) {
    chmodSync(place.path, 0);
    await refused(place.open(), 'permission-denied');
    return;
  }
  // Root may do everything, so this process is somebody else for a moment.
  chmodSync(place.folder, 0o755);
  process.seteuid?.(65534);
  try {
    await refused(place.open(), 'permission-denied');
  } finally {
    process.seteuid?.(0);
  }
});

it('ends all leases when the machine was started anew, and only then', async (t) => {
  const place = setUp(t);
  const first = await place.open();
  await put(first, 'leased', await first.grantLease(600_000, CALL));
  await put(first, 'stays');
  await first.close();
  const sameBoot = await place.open();
  const before = await sameBoot.read(CALL);
  assert.equal(before.entries.size, 2);
  await sameBoot.close();
  edit(place.path, "UPDATE meta SET boot_id = 'an earlier boot'");
  const store = await openIn(t, place);
  const after = await store.read(CALL);
  assert.deepEqual([...after.entries.keys()], ['stays']);
  assert.ok(after.revision > before.revision);
  const gone = before.entries.get('leased')?.lease ?? assert.fail();
  assert.deepEqual(await store.keepAlive(gone, CALL), { kind: 'expired' });
});

it('stops using a file that was removed or replaced under it, in calls and watches', async (t) => {
  const place = setUp(t);
  const store = await openIn(t, place);
  const log = WatchLog.start(store);
  await log.until('the first state', () => true);
  for (const suffix of ['', '-wal', '-shm']) rmSync(place.path + suffix);
  await refused(put(store, 'k'), 'wrong-cluster');
  const other = await openIn(t, place);
  await put(other, 'k');
  await refused(put(store, 'k'), 'wrong-cluster');
  await refused(store.read(CALL), 'wrong-cluster');
  await log.untilError('the loss', (error) => error.code === 'wrong-cluster');
  await log.close();
});

it('notices when an older copy, or another store, was written over the file', async (t) => {
  const place = setUp(t);
  const copy = join(place.folder, 'copy');
  const maker = await place.open();
  await put(maker, 'k');
  await maker.close();
  copyFileSync(place.path, copy);
  const store = await openIn(t, place);
  for (let n = 0; n < 3; n += 1) await put(store, 'k');
  edit(place.path, `ATTACH '${copy}' AS old; UPDATE main.meta SET revision = (SELECT revision FROM old.meta)`);
  await refused(put(store, 'k'), 'revision-went-back');
  edit(place.path, "UPDATE meta SET revision = revision + 100, store_id = 'another'");
  await refused(put(store, 'k'), 'wrong-cluster');
});

it('finds a change whose bell was never rung', async (t) => {
  const place = setUp(t);
  const store = await openIn(t, place);
  await put(store, 'k');
  const log = WatchLog.start(store);
  await log.until('the key', ({ entries }) => entries.has('k'));
  edit(place.path, 'UPDATE meta SET revision = revision + 1; DELETE FROM kv');
  await log.until('the deletion', ({ entries }) => !entries.has('k'));
  await log.close();
});

/** The newest state that a watch has told; revisions may begin anew, which `WatchLog` does not allow. */
function follow(store: Store) {
  let newest: Snapshot | null = null;
  const watch = store.watch({
    onSnapshot: (snapshot) => {
      newest = snapshot;
    },
    onError: () => undefined,
  });
  return {
    until: (what: string, holds: (snapshot: Snapshot) => boolean) =>
      waitUntil(what, 10_000, async () => newest !== null && holds(newest)),
    close: () => watch.close(),
  };
}

it('looks past the store that was opened, makes nothing, and adopts what is there', async (t) => {
  const place = setUp(t);
  const store = await openIn(t, place);
  await put(store, 'first');
  const log = follow(store);
  await log.until('the first key', ({ entries }) => entries.has('first'));
  const before = await store.look(CALL);
  assert.deepEqual(before, await store.read(CALL));

  for (const suffix of ['', '-wal', '-shm']) rmSync(place.path + suffix);
  const nothing = await store.look(CALL);
  assert.deepEqual([nothing.revision, nothing.entries.size], [0, 0]);
  assert.notEqual(nothing.storeId, before.storeId);
  assert.ok(!existsSync(place.path), 'to look makes no file');

  const other = await openIn(t, place);
  await put(other, 'second');
  const found = await store.look(CALL);
  assert.deepEqual(found, await other.read(CALL));
  await refused(store.read(CALL), 'wrong-cluster');
  await store.adopt(found);
  assert.deepEqual(await store.read(CALL), found);
  await log.until('the other state', ({ entries }) => entries.has('second') && !entries.has('first'));
  // Leases, writes and the watch work on the new file.
  const lease = await store.grantLease(60_000, CALL);
  await put(store, 'third', lease);
  assert.equal((await store.keepAlive(lease.id, CALL)).kind, 'alive');
  assert.ok((await other.read(CALL)).entries.has('third'));
  await log.until('the third key', ({ entries }) => entries.has('third'));
  await log.close();
});

it('adopts an older state that was written over the file', async (t) => {
  const place = setUp(t);
  const copy = join(place.folder, 'copy');
  const maker = await place.open();
  await put(maker, 'old');
  await maker.close();
  copyFileSync(place.path, copy);
  const store = await openIn(t, place);
  for (let n = 0; n < 3; n += 1) await put(store, 'new');
  const log = follow(store);
  await log.until('the new key', ({ entries }) => entries.has('new'));
  edit(
    place.path,
    `ATTACH '${copy}' AS old; UPDATE main.meta SET revision = (SELECT revision FROM old.meta); DELETE FROM kv WHERE key = 'new'`,
  );
  await refused(store.read(CALL), 'revision-went-back');
  const found = await store.look(CALL);
  assert.deepEqual([...found.entries.keys()], ['old']);
  await store.adopt(found);
  assert.deepEqual(await store.read(CALL), found);
  await log.until('the old state', ({ entries }) => !entries.has('new'));
  await log.close();
});
