// Goal: with `--tls all` the agents' API and etcd are encrypted as well, and the commands go on finding the cluster by its folder.
// Method: the real command in the background, with an etcd; then its servers are asked without TLS and without a certificate.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { describeCluster } from '@understudy/local';
import { cli } from './support/cli.ts';
import { scratchFolder } from './support/folders.ts';

let folder = '';
let remove: () => Promise<void> = async () => undefined;

before(async () => {
  const scratch = await scratchFolder();
  remove = scratch.remove;
  folder = join(scratch.folder, 'cluster');
});

after(async () => {
  await cli(['destroy', '--yes', '--data-dir', folder]);
  await remove();
});

test('everything of a cluster can be encrypted, and stays so', { timeout: 240_000 }, async (t) => {
  const start = ['up', '--detach', '--nodes', '2', '--store', 'etcd', '--data-dir', folder];
  const ran = await cli([...start, '--tls', 'all'], { timeoutMs: 150_000 });
  assert.equal(ran.code, 0, ran.stderr);
  const found = await describeCluster({ folder });
  assert.ok(found !== null && found.caFile !== null && found.state.store.kind === 'etcd');
  const [{ apiUrl = '' } = {}] = found.nodes;
  const [{ clientPort = 0 } = {}] = found.state.store.members;

  await t.test('commands believe its authority, by its folder or by name', async () => {
    assert.match(apiUrl, /^https:/);
    assert.equal((await cli(['status', '--check', '--data-dir', folder])).code, 0);
    assert.equal((await cli(['status', '--api', apiUrl])).code, 4);
    assert.equal((await cli(['status', '--api', apiUrl, '--ca', found.caFile ?? ''])).code, 0);
    const moved = await cli(['switchover', '--data-dir', folder]);
    assert.equal(moved.code, 0, moved.stderr);
  });

  await t.test('its etcd answers to https only', async () => {
    await assert.rejects(
      fetch(`http://127.0.0.1:${clientPort}/health`)
        .then((answer) => answer.text())
        .then(notHealthy),
    );
    const node = await readFile(join(folder, 'n1', 'node.yaml'), 'utf8');
    assert.match(node, new RegExp(`https://127\\.0\\.0\\.1:${clientPort}`));
  });

  await t.test('it cannot be changed under an etcd that has its addresses; it starts again as it was', async () => {
    assert.equal((await cli(['down', '--data-dir', folder])).code, 0);
    const other = await cli(['up', '--data-dir', folder, '--tls', 'replication']);
    assert.equal(other.code, 2);
    assert.match(other.stderr, /was made for TLS "all"/);
    const again = await cli(['up', '--detach', '--data-dir', folder], { timeoutMs: 150_000 });
    assert.equal(again.code, 0, again.stderr);
    assert.equal((await cli(['status', '--check', '--data-dir', folder])).code, 0);
  });
});

/** A server for TLS may answer plain text with an error in plain text. */
function notHealthy(text: string): void {
  if (!text.includes('true')) throw new Error(text);
}
