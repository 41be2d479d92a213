/**
 * A process that shares a local store: `count PATH` adds 1 to a counter for ever and prints every value it committed,
 * `hold PATH` begins a transaction and stops itself in the middle, `open PATH` opens the store and says how that went.
 */

import { writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { type Compare, openStore, StoreError } from '@understudy/store';

const [, , mode, path = ''] = process.argv;

if (mode === 'count') await count();
else if (mode === 'hold') hold();
else await open();

async function count(): Promise<never> {
  const store = await openStore({ kind: 'local', path, cluster: 'test' });
  const options = { deadlineMs: 60_000 };
  for (;;) {
    const entry = (await store.read(options)).entries.get('n');
    const compare: Compare =
      entry === undefined
        ? { kind: 'absent', key: 'n' }
        : { kind: 'unchanged', key: 'n', modRevision: entry.modRevision };
    const value = String(Number(entry?.value ?? '0') + 1);
    const result = await store.transact([compare], [{ kind: 'put', key: 'n', value }], options);
    // Synchronous: what was printed was acknowledged before the process could be killed.
    if (result.kind === 'committed') writeSync(1, `${value}\n`);
  }
}

function hold(): void {
  const db = new DatabaseSync(path);
  db.exec('BEGIN IMMEDIATE');
  db.exec('UPDATE meta SET revision = revision + 1000');
  writeSync(1, 'holding\n');
  process.kill(process.pid, 'SIGSTOP');
  db.exec('ROLLBACK');
  db.close();
}

async function open(): Promise<void> {
  try {
    const store = await openStore({ kind: 'local', path, cluster: 'test' });
    await store.close();
    writeSync(1, 'opened\n');
  } catch (error) {
    writeSync(1, `${error instanceof StoreError ? error.code : String(error)}\n`);
  }
}
