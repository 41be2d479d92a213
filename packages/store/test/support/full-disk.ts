/** A child of `local-full.test.ts`: fills the small file system that its store is in, and says what becomes of calls. */

import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openStore, StoreError } from '@understudy/store';

const CALL = { deadlineMs: 5_000 };
const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const folder = process.argv[2] ?? assert.fail('no folder was named');
const store = await openStore({ kind: 'local', path: join(folder, 'store.sqlite'), cluster: 'test' });
const put = (key: string) => store.transact([], [{ kind: 'put', key, value: 'v'.repeat(4000) }], CALL);
await put('first');
const lease = await store.grantLease(600_000, CALL);

const filler = join(folder, 'filler');
fill(filler);
// What is left of the log's last page takes a few more writes.
for (let n = 0; n < 200; n += 1) {
  const error = await put(`more-${n}`).then(() => null, String);
  if (error !== null) break;
}
const last = await put('too-much').then(
  () => assert.fail('a full disk took a write'),
  (thrown: unknown) => thrown,
);
assert.ok(last instanceof StoreError);
say(`full: ${last.code}, ${last.retry}`);
const renewed = await store.keepAlive(lease.id, CALL).then(
  ({ kind }) => kind,
  (error) => error.code,
);
say(`renewal: ${renewed}`);
const { entries } = await store.read(CALL);
say(`read: ${entries.has('first') && !entries.has('too-much') ? 'as before' : 'something else'}`);

rmSync(filler);
const { kind } = await put('again');
say(`room: ${kind}, ${(await store.keepAlive(lease.id, CALL)).kind}`);
await store.close();

function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (;;) writeSync(file, Buffer.alloc(4096));
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'ENOSPC', String(error));
  } finally {
    closeSync(file);
  }
}
