import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type KeptFolder, planKept } from '../src/index.ts';

const folder = (name: string, change: Partial<KeptFolder> = {}): KeptFolder => ({
  name,
  kind: 'aside',
  bytes: 10,
  history: 'contained',
  ...change,
});
const unproven = { history: 'unproven' } as const;

test('of what is in the history elsewhere too, the oldest go when there are more than wanted', () => {
  const plan = planKept([folder('a'), folder('b'), folder('c')], { keep: 2, maxBytes: 1000 });
  assert.deepEqual(plan, { remove: ['a'], holding: [], heldBytes: 0 });
});

test('what may be the only copy never goes, and makes others go that are in its way', () => {
  const folders = [folder('a', { ...unproven, bytes: 90 }), folder('b'), folder('c'), folder('d')];
  assert.deepEqual(planKept(folders, { keep: 5, maxBytes: 100 }).remove, ['b', 'c']);
});

test('more of it than the budget allows holds further copies back, and names it', () => {
  const folders = [
    folder('a', { ...unproven, bytes: 60 }),
    folder('f', { ...unproven, kind: 'fork', bytes: 50 }),
    folder('c'),
  ];
  assert.deepEqual(planKept(folders, { keep: 2, maxBytes: 100 }).holding, ['a', 'f']);
  assert.deepEqual(planKept(folders, { keep: 2, maxBytes: 110 }).holding, []);
});

test('whatever there is, only what is contained goes, and never the newest of its kind', () => {
  const folders = fc.array(
    fc.record({
      kind: fc.constantFrom('aside' as const, 'fork' as const),
      bytes: fc.nat(100),
      history: fc.constantFrom('contained' as const, 'unproven' as const),
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(folders, fc.nat(3), fc.nat(300), (made, keep, maxBytes) => {
      const all = made.map((one, index) => ({ ...one, name: String(index) }));
      const { remove } = planKept(all, { keep, maxBytes });
      for (const name of remove) {
        const found = all.find((one) => one.name === name);
        assert.equal(found?.history, 'contained');
        assert(all.some((one) => one.kind === found?.kind && Number(one.name) > Number(name)));
      }
    }),
  );
});
