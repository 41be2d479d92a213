import assert from 'node:assert/strict';
import { test } from 'node:test';
import { published } from './build.ts';

test('what is published names compiled files, and nothing that is only for tests', () => {
  const exports = {
    '.': './src/index.ts',
    './host': './src/host/index.ts',
    './conformance': './test/conformance/index.ts',
  };
  const manifest = published({ name: 'engine', version: '1.0.0', exports, private: true });
  assert.deepEqual(manifest.exports, {
    '.': { types: './index.d.ts', default: './index.js' },
    './host': { types: './host/index.d.ts', default: './host/index.js' },
  });
  assert.ok(!('private' in manifest));
});
