// Goal: nothing that rests on a note is done without it. Method: a real local store whose answers after a commit get lost, and a real folder.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  ALONE,
  type Command,
  type EngineState,
  epoch,
  incarnation,
  type LeadershipRecord,
  lsn,
  memberId,
  ms,
  systemId,
} from '@understudy/core';
import { openStore, StoreError } from '@understudy/store';
import { encodeStoreValue } from '../src/codec/store-values.ts';
import { StoreLink } from '../src/store/link.ts';
import { NoteFile } from '../src/store/note-file.ts';
import { Noting } from '../src/store/noting.ts';

const deadlineMs = 2000;
const n2 = memberId('n2');

const recordOf = (number: number): LeadershipRecord => ({
  epoch: epoch(number),
  leader: n2,
  incarnation: incarnation('a-process'),
  phase: 'promoting',
  timeline: number,
  rule: ALONE,
  nextRule: null,
  chosenAt: null,
  opened: null,
  durability: 'sync',
  cause: 'leader-lost',
});

const position = { kind: 'wal', timeline: 1, lsn: lsn(100n), history: [] } as const;
const engine: EngineState = {
  kind: 'replica',
  systemId: systemId('7'),
  position,
  replayed: position,
  upstream: null,
  receiver: { kind: 'none' },
};
const promote: Command = { kind: 'promote', epoch: epoch(5), timeline: 5, rule: ALONE, notAfter: ms(0) };
const relying: readonly Command[] = [
  promote,
  { kind: 'follow', upstream: memberId('n1'), epoch: epoch(5) },
  { kind: 'set-ack-rule', rule: ALONE },
];

async function notingOn(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'us-note-'));
  const store = await openStore({ kind: 'local', path: join(folder, 'store.db'), cluster: 'c' });
  t.after(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  let readable = true;
  // Transactions arrive; what would be read after them does not.
  const lossy = new Proxy(store, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target);
      if (key === 'read' && !readable) return () => Promise.reject(new StoreError('unavailable', 'Gone.'));
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const link = new StoreLink({ store: lossy, runningMs: () => performance.now(), onContent: () => undefined });
  const put = (number: number) => [{ kind: 'put', key: 'record', value: encodeStoreValue(recordOf(number)) }] as const;
  await store.transact([], put(4), { deadlineMs });
  await link.refresh(deadlineMs);
  const noting = new Noting(new NoteFile(folder, n2), link);
  await noting.after(engine, null);
  return {
    link,
    noting,
    read: (whether: boolean) => {
      readable = whether;
    },
    // Somebody else wrote in between: what was committed has to be read.
    take: async () => {
      await store.transact([], [{ kind: 'put', key: 'probe', value: '' }], { deadlineMs });
      await link.transact([], put(5), deadlineMs);
    },
    noted: async () => /"epoch\\*":(\d+)/.exec(await readFile(join(folder, 'understudy.note.json'), 'utf8'))?.[1],
  };
}

test('a leadership that was committed and not read back is neither opened, followed nor counted by', async (t) => {
  const { link, noting, read, take, noted } = await notingOn(t);
  read(false);
  await take();
  assert.equal(link.view().kind, 'stale');
  for (const command of relying)
    await assert.rejects(noting.before(command, engine, null), { code: 'NOTE_UNKNOWN', retry: 'safe' }, command.kind);
  assert.equal(await noted(), '4');
  read(true);
  await link.refresh(deadlineMs);
  for (const command of relying) await noting.before(command, engine, null);
  assert.equal(await noted(), '5');
});

test('an epoch that the store does not show is not opened, also while the store answers', async (t) => {
  const { noting } = await notingOn(t);
  await assert.rejects(noting.before(promote, engine, null), { code: 'NOTE_UNKNOWN' });
  await noting.before({ kind: 'seal', epoch: epoch(5) }, engine, null);
});
