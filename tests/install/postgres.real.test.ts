// Goal: what is published runs where only Node 24 is: every file and every dependency is in the packages. Method: `npm pack` of what
// `npm run build` lays out, `npm install` into an empty project, and the first commands of a user against a real cluster.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Installed, installPacked } from './installed.ts';
import { walk } from './walk.ts';

let installed: Installed | null = null;

before(async () => {
  installed = await installPacked();
});

after(() => installed?.remove());

test('an installed package says its version and runs a PostgreSQL cluster', async () => {
  assert.ok(installed !== null);
  assert.match(await installed.run(['--version']), /^\d+\.\d+\.\d+/);
  await walk(installed, 'postgres');
});
