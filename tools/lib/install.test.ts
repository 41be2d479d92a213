// Goal: npm start and npm test notice by themselves what is not installed. Method: lock files as npm writes them, in a folder.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { missingPackages } from './install.mjs';

let root = '';

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'install-'));
  await mkdir(join(root, 'node_modules'));
});

afterEach(() => rm(root, { recursive: true }));

async function wanted(packages: Readonly<Record<string, unknown>>): Promise<void> {
  await writeFile(join(root, 'package-lock.json'), JSON.stringify({ packages: { '': {}, ...packages } }));
}

async function present(packages: Readonly<Record<string, unknown>>): Promise<void> {
  for (const path of Object.keys(packages)) await mkdir(join(root, path), { recursive: true });
  await writeFile(join(root, 'node_modules', '.package-lock.json'), JSON.stringify({ packages }));
}

test('everything is there', async () => {
  const packages = {
    'node_modules/a': { version: '1.0.0' },
    'node_modules/own': { resolved: 'packages/own', link: true },
  };
  await wanted({ ...packages, 'packages/own': { version: '0.1.0' } });
  await present(packages);
  assert.deepEqual(missingPackages(root, { dev: true }), []);
});

test('nothing is there', async () => {
  await wanted({ 'node_modules/a': { version: '1.0.0' } });
  assert.deepEqual(missingPackages(root, { dev: false }), ['node_modules/a']);
});

test('another version, or a folder that was removed by hand, is missing', async () => {
  await wanted({ 'node_modules/a': { version: '2.0.0' }, 'node_modules/b': { version: '1.0.0' } });
  await present({ 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.0.0' } });
  await rm(join(root, 'node_modules', 'b'), { recursive: true });
  assert.deepEqual(missingPackages(root, { dev: false }), ['node_modules/a', 'node_modules/b']);
});

test('development dependencies are missing only when they are needed', async () => {
  await wanted({ 'node_modules/a': { version: '1.0.0' }, 'node_modules/d': { version: '1.0.0', dev: true } });
  await present({ 'node_modules/a': { version: '1.0.0' } });
  assert.deepEqual(missingPackages(root, { dev: false }), []);
  assert.deepEqual(missingPackages(root, { dev: true }), ['node_modules/d']);
});

test('packages for other machines are not missing, those for this one are', async () => {
  const version = '1.0.0';
  await wanted({
    'node_modules/other': { version, optional: true, os: ['plan9'] },
    'node_modules/not-here': { version, optional: true, os: [`!${process.platform}`] },
    'node_modules/other-cpu': { version, optional: true, os: [process.platform], cpu: ['pdp11'] },
    'node_modules/here': { version, optional: true, os: [process.platform], cpu: [process.arch] },
  });
  await present({});
  assert.deepEqual(missingPackages(root, { dev: true }), ['node_modules/here']);
});

test('a checkout without a lock file is an error that says so', () => {
  assert.throws(() => missingPackages(root, { dev: true }), /package-lock\.json/);
});
