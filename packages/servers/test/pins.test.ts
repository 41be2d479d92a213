// Goal: no recipe can fetch what nobody has tested. Method: the tables, compared.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { offeredPackages, pins } from '../src/pins.ts';
import { recipes, serverNames } from '../src/recipes.ts';

test('every package of every recipe has a tested version and digest (npm run servers -- pins)', () => {
  for (const name of serverNames) {
    const recipe = recipes[name];
    if (recipe.kind !== 'debian') continue;
    for (const each of recipe.packages) {
      assert.match(pins[recipe.suite][each] ?? '', /^[0-9][^ ]* [0-9a-f]{64}$/, `${name}: ${each} of ${recipe.suite}`);
    }
  }
});

test("apt's lines are read, with an epoch in the version; anything else is no offer", () => {
  const digest = 'a'.repeat(64);
  const line = `'copy:/x/libgmp10_2%3a6.2.1_amd64.deb' libgmp10_2%3a6.2.1_amd64.deb 559000 SHA256:${digest}`;
  assert.deepEqual(offeredPackages(`${line}\n`), [{ package: 'libgmp10', version: '2:6.2.1', sha256: digest }]);
  for (const wrong of [line.replace('SHA256', 'MD5Sum'), line.slice(0, -1), "E: can't find", '']) {
    assert.deepEqual(offeredPackages(wrong), []);
  }
});
