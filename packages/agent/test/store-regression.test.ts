// Goal: an agent never lets the store go back, and can put back what it knows. Method: a real local store whose keys are taken away.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ALONE, epoch, type HistoryEntry, incarnation, type LeadershipRecord, memberId } from '@understudy/core';
import { openStore, type Store, StoreError, type StoreErrorCode } from '@understudy/store';
import { encodeStoreValue } from '../src/codec/store-values.ts';
import { StoreLink } from '../src/store/link.ts';

const deadlineMs = 2000;

function recordOf(number: number): LeadershipRecord {
  return {
    epoch: epoch(number),
    leader: memberId('n1'),
    incarnation: incarnation('a-process'),
    phase: 'promoting',
    timeline: number + 1,
    rule: ALONE,
    nextRule: null,
    chosenAt: null,
    opened: null,
    durability: 'sync',
    cause: 'bootstrap',
  };
}

const record = (number: number): string => encodeStoreValue(recordOf(number));

function entryOf(number: number): HistoryEntry {
  return {
    epoch: epoch(number),
    leader: memberId('n1'),
    timeline: 2,
    cause: 'store-restored',
    chosenAt: null,
    wallMs: 0,
  };
}

async function put(store: Store, value: string): Promise<void> {
  await store.transact([], [{ kind: 'put', key: 'record', value }], { deadlineMs });
}

async function linkOn(t: TestContext): Promise<{ readonly store: Store; readonly link: StoreLink }> {
  const folder = await mkdtemp(join(tmpdir(), 'us-link-'));
  const store = await openStore({ kind: 'local', path: join(folder, 'store.db'), cluster: 'c' });
  t.after(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  const link = new StoreLink({ store, runningMs: () => performance.now(), onContent: () => undefined });
  await put(store, record(4));
  await link.refresh(deadlineMs);
  assert.equal(link.view().kind, 'current');
  return { store, link };
}

const losses: readonly { readonly name: string; readonly lose: (store: Store) => Promise<unknown> }[] = [
  {
    name: 'without its record',
    lose: (store) => store.transact([], [{ kind: 'delete', key: 'record' }], { deadlineMs }),
  },
  { name: 'at an older epoch', lose: (store) => put(store, record(3)) },
];

for (const { name, lose } of losses) {
  test(`a store that comes back ${name} is not acted on, and can be restored`, async (t) => {
    const { store, link } = await linkOn(t);
    await lose(store);
    await link.refresh(deadlineMs);
    const view = link.view();
    assert.equal(view.kind, 'stale');
    assert.equal(view.kind === 'stale' ? view.content.record?.value.epoch : null, 4);
    assert.match(link.problem ?? '', /epoch 4 of n1 \(alone\), which this agent has seen.*understudy restore-store/s);
    await link.restore(recordOf(5), entryOf(5), deadlineMs);
    assert.equal(link.decoded?.content.record?.value.epoch, 5);
    assert.equal(link.view().kind, 'current');
    assert.equal(link.problem, null);
  });
}

test('a renewal that the store had no room or no right for says that it takes no writes, until one succeeds', async (t) => {
  const { link } = await linkOn(t);
  const failure = (code: StoreErrorCode) => new StoreError(code, `refused: ${code}`);
  for (const code of ['store-full', 'permission-denied', 'io-error'] as const) {
    link.noteContact(failure(code));
    assert.equal(link.refusedWrite, `refused: ${code}`);
    assert.equal(link.problem, `refused: ${code}`);
    await link.probeWrites(deadlineMs);
    assert.equal(link.refusedWrite, null);
  }
  for (const code of ['unavailable', 'deadline-exceeded', 'unauthorized'] as const) link.noteContact(failure(code));
  assert.equal(link.refusedWrite, null, 'whether it takes writes was not said');
});

test('a store that has not gone back is not written to by a restore', async (t) => {
  const { store, link } = await linkOn(t);
  await assert.rejects(link.restore(recordOf(5), entryOf(5), deadlineMs), { code: 'STORE_NOT_REGRESSED' });
  await put(store, record(5));
  await link.refresh(deadlineMs);
  const view = link.view();
  assert.equal(view.kind === 'current' ? view.content.record?.value.epoch : null, 5);
});

test('an agent that starts with the memory of its predecessor does not take an older store for the truth', async (t) => {
  const { store, link } = await linkOn(t);
  const known = link.snapshot;
  assert.ok(known !== null);
  await put(store, record(2));
  const next = new StoreLink({ store, runningMs: () => performance.now(), onContent: () => undefined });
  next.remember(known);
  await next.refresh(deadlineMs);
  assert.equal(next.view().kind, 'stale');
});
