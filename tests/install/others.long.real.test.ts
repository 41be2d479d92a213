// Goal and method: see postgres.real.test.ts; here for the other engines, whose servers take longer to make.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Installed, installPacked } from './installed.ts';
import { walk } from './walk.ts';

let installed: Installed | null = null;

before(async () => {
  installed = await installPacked();
});

after(() => installed?.remove());

for (const engine of ['mysql', 'mariadb'] as const) {
  test(`an installed package runs a ${engine} cluster`, async () => {
    assert.ok(installed !== null);
    await walk(installed, engine);
  });
}
