import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type AccessSeen, accessOf } from '../src/commands/access-rules.ts';
import { parseCatalog } from '../src/config/catalog.ts';
import { ManagedConfig } from '../src/config/managed.ts';
import { parseOptions } from '../src/options.ts';
import { pathsOf } from '../src/paths.ts';

describe('the access rules that a server has loaded', () => {
  const seen = (more: Partial<AccessSeen> = {}): AccessSeen => ({
    rules: 'whole',
    writtenS: 100,
    loadedS: 100.4,
    ...more,
  });

  it('are those on its disk only when it loaded them surely after they were written', () => {
    assert.equal(accessOf(seen({ loadedS: 50 }), null), 'reload');
    assert.equal(accessOf(seen(), null), 'reload', 'the second of the write: before or after');
    assert.equal(accessOf(seen({ loadedS: 101 }), null), 'in-force');
    assert.equal(accessOf(seen({ writtenS: 200, loadedS: 101 }), seen()), 'reload', 'written again since');
  });

  it('are proven by a load after ours where the clock was set back, and the server is told once', () => {
    const told = seen({ loadedS: 50 });
    assert.equal(accessOf(seen({ loadedS: 50 }), told), 'not-in-force');
    assert.equal(accessOf(seen({ loadedS: 51 }), told), 'in-force');
  });

  it('let nobody in where the server refuses the file, or the line is missing', () => {
    for (const rules of ['broken', 'without'] as const) {
      assert.equal(accessOf(seen({ rules, loadedS: 500 }), null), 'not-in-force');
    }
  });
});

describe('what a running server is given of the user’s files', () => {
  it('is loaded even when a later file cannot be read', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'us-files-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const [dataDir, runDir] = [join(folder, 'data'), join(folder, 'run')];
    for (const path of [dataDir, runDir]) await mkdir(path);
    await writeFile(join(dataDir, 'pg_hba.conf'), '# of the user\n');
    const file = (name: string): string => join(folder, name);
    const options = parseOptions({
      cluster: 'c',
      member: 'n1',
      dataDir,
      runDir,
      listen: { host: '127.0.0.1', port: 5432 },
      binaries: { binDir: '/usr/bin' },
      runAs: null,
      secrets: {
        superuser: 'x'.repeat(16),
        replication: 'x'.repeat(16),
        rewind: 'x'.repeat(16),
        monitor: 'x'.repeat(16),
      },
      tls: { ca: file('ca'), cert: file('cert'), key: file('key') },
      allowFrom: ['127.0.0.1/32'],
    });
    const paths = pathsOf(options);
    const config = new ManagedConfig(options, paths, null, parseCatalog(''));
    let reloads = 0;
    await assert.rejects(config.copyUserFiles(() => reloads++));
    assert.match(await readFile(paths.hba, 'utf8'), /of the user/);
    assert.equal(reloads, 1);
    await assert.rejects(config.copyUserFiles(() => reloads++));
    assert.equal(reloads, 1, 'nothing is new');
  });
});
