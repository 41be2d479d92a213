import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sbomProblems } from './sbom.ts';

// Goal: nothing gets into a build that only a name and a version vouch for. Method: lists of components with and without digests.
const component = (purl: string, hashes: { alg: string; content: string }[]) => ({
  name: 'x',
  version: '1.0.0',
  purl,
  hashes,
});
const sbom = (...components: ReturnType<typeof component>[]) => ({
  bomFormat: 'CycloneDX' as const,
  metadata: { component: { name: 'understudy' } },
  components,
});

test('a component of others needs its SHA-512; our own have none', () => {
  const good = [{ alg: 'SHA-512', content: 'a'.repeat(128) }];
  assert.deepEqual(
    sbomProblems(sbom(component('pkg:npm/x@1.0.0', good), component('pkg:npm/%40understudy/core@0.1.0', []))),
    [],
  );
  for (const bad of [[], [{ alg: 'SHA-1', content: 'a'.repeat(40) }], [{ alg: 'SHA-512', content: '' }]]) {
    assert.equal(sbomProblems(sbom(component('pkg:npm/x@1.0.0', bad))).length, 1);
  }
});
