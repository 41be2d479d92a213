import { monotonicMs } from '@understudy/base';
/** A member that died while it was making the new database comes back after another one has finished the bootstrap. */

import assert from 'node:assert/strict';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { DEFAULT_CONFIG, memberId } from '@understudy/core';
import pino from 'pino';
import { loadSecrets } from '../src/config/secrets.ts';
import { loadNodeConfig } from '../src/index.ts';
import { engineFactory } from './support/engine.ts';
import { eventually } from './support/eventually.ts';
import { TestCluster, type TestNode } from './support/nodes.ts';

let cluster: TestCluster;
before(async () => {
  cluster = await TestCluster.make(['n1', 'n2']);
});
after(() => cluster.destroy());

/** Makes a database as the bootstrap does, and leaves it as a death before the founding would. */
async function initializeOnly(node: TestNode): Promise<void> {
  const config = await loadNodeConfig(node.configFile);
  const secrets = await loadSecrets(config.secretsFile);
  await mkdir(config.runDir, { recursive: true, mode: 0o711 });
  const openCopy = async () => assert.fail('nothing is copied');
  const engine = await engineFactory({ config, secrets, log: pino({ level: 'silent' }), clock: monotonicMs, openCopy });
  const { parameters, synchronousCommit } = DEFAULT_CONFIG;
  const self = memberId(node.name);
  const known = { members: new Map(), positions: new Map(), acknowledges: 'no' } as const;
  await engine.execute({ kind: 'initialize' }, { self, parameters, synchronousCommit, ...known });
  await eventually('a database', async () => (engine.job() === null ? true : null));
  assert.deepEqual(engine.takeFailures(), []);
  await engine.close('stop');
}

it('makes way for a copy: nobody was ever let in to write there', { timeout: 120_000 }, async () => {
  const [first, second] = [cluster.node('n1'), cluster.node('n2')];
  await initializeOnly(second);
  cluster.start(first);
  await cluster.ready(first, 0);
  cluster.start(second);
  const leader = await cluster.ready(first, 1);
  assert.equal(leader.name, 'n1');
  const beside = await readdir(join(cluster.folder, 'n2'));
  assert.equal(beside.filter((name) => name.startsWith('data.aside-')).length, 1, 'the other database is kept');
});
