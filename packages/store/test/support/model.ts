/** A store as a plain value, and random histories to run on it and on a real one. */

import assert from 'node:assert/strict';
import type { Compare, LeaseId, Revision, Store, Write } from '@understudy/store';
import fc from 'fast-check';

const CALL = { deadlineMs: 10_000 };
const KEYS = ['a', 'b', 'a/b', 'ключ'];

/** Compares and writes by kind; the versions and leases that they need are filled in from the model as they run. */
type Step =
  | {
      readonly kind: 'transact';
      readonly compares: readonly PlannedCompare[];
      readonly writes: readonly PlannedWrite[];
    }
  | { readonly kind: 'grant' }
  | { readonly kind: 'revoke'; readonly lease: number };
type PlannedCompare = { readonly kind: 'absent' | 'exists' | 'current' | 'stale'; readonly key: string };
type PlannedWrite =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease: number | null }
  | { readonly kind: 'delete'; readonly key: string };

const key = fc.constantFrom(...KEYS);
const lease = fc.option(fc.nat(3), { nil: null });
const compare = fc.record({ kind: fc.constantFrom('absent', 'exists', 'current', 'stale'), key });
const write: fc.Arbitrary<PlannedWrite> = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), key, value: fc.string({ unit: 'grapheme' }), lease }),
  fc.record({ kind: fc.constant('delete' as const), key }),
);
const writes = fc.uniqueArray(write, { maxLength: 4, selector: (planned) => planned.key });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('transact' as const),
      compares: fc.array(compare, { maxLength: 2 }),
      writes,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('grant' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('revoke' as const), lease: fc.nat(3) }) },
);
export const history = fc.array(step, { maxLength: 25 });
export type History = readonly Step[];

interface Entry {
  readonly value: string;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  readonly lease: LeaseId | null;
}

/** Runs a history on a store and on the model side by side, and compares after each step. */
export async function follow(store: Store, steps: History): Promise<void> {
  const model = new Map<string, Entry>();
  const leases: (LeaseId | null)[] = [];
  let revision = (await store.read(CALL)).revision;
  for (const planned of steps) {
    if (planned.kind === 'grant') {
      leases.push((await store.grantLease(600_000, CALL)).id);
    } else if (planned.kind === 'revoke') {
      const id = leases[planned.lease] ?? null;
      if (id === null) continue;
      await store.revoke(id, CALL);
      leases[planned.lease] = null;
      for (const [name, entry] of model) if (entry.lease === id) model.delete(name);
    } else {
      await transactBoth(store, model, leases, planned);
    }
    const snapshot = await store.read(CALL);
    assert.ok(snapshot.revision >= revision);
    revision = snapshot.revision;
    const seen = [...snapshot.entries].map(([name, entry]) => [name, { ...entry }] as const);
    const expected = [...model].map(([name, entry]) => [name, { key: name, ...entry }] as const);
    assert.deepEqual(new Map(seen), new Map(expected));
  }
}

async function transactBoth(
  store: Store,
  model: Map<string, Entry>,
  leases: readonly (LeaseId | null)[],
  planned: Extract<Step, { kind: 'transact' }>,
): Promise<void> {
  const compares = planned.compares.map((each) => fillIn(each, model));
  const holds = compares.every((each) => judge(each, model));
  const writes: Write[] = planned.writes.map((each) => {
    if (each.kind === 'delete') return each;
    const id = each.lease === null ? null : (leases[each.lease] ?? null);
    return { kind: 'put', key: each.key, value: each.value, ...(id === null ? {} : { lease: id }) };
  });
  const result = await store.transact(compares, writes, CALL);
  assert.equal(result.kind, holds ? 'committed' : 'rejected');
  if (!holds) return;
  for (const each of writes) {
    if (each.kind === 'delete') {
      model.delete(each.key);
      continue;
    }
    const createRevision = model.get(each.key)?.createRevision ?? result.revision;
    model.set(each.key, {
      value: each.value,
      createRevision,
      modRevision: result.revision,
      lease: each.lease ?? null,
    });
  }
}

function fillIn(planned: { kind: string; key: string }, model: ReadonlyMap<string, Entry>): Compare {
  const { key: name } = planned;
  const current = model.get(name)?.modRevision ?? (1 as Revision);
  if (planned.kind === 'absent' || planned.kind === 'exists') return { kind: planned.kind, key: name };
  const modRevision = planned.kind === 'current' ? current : ((current + 1_000_000) as Revision);
  return { kind: 'unchanged', key: name, modRevision };
}

function judge(compare: Compare, model: ReadonlyMap<string, Entry>): boolean {
  const entry = model.get(compare.key);
  if (compare.kind === 'absent') return entry === undefined;
  if (compare.kind === 'exists') return entry !== undefined;
  return entry?.modRevision === compare.modRevision;
}
