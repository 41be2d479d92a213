// Goal: whoever takes the ports of a stopped cluster of this machine learns neither its token nor a password, and no command believes
// what is said there. Method: the folder of a stopped cluster of each engine, rogue agents and servers on all its ports (no TLS, TLS of
// nobody, TLS of another authority with the same name), the real command.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { LOCALHOST, makeAuthority, makeCertificate } from '@understudy/certs';
import { clusterPaths } from '@understudy/local';
import { ensureCertificates, ensureSecrets, planState, prepareFolders } from '@understudy/local/parts';
import { cli } from './support/cli.ts';
import { scratchFolder } from './support/folders.ts';
import { type Identity, type Rogue, rogueAgent, rogueMysql, roguePostgres } from './support/rogues.ts';
import { leading, member, status } from './support/views.ts';

let root = '';
let remove: () => Promise<void> = async () => undefined;

before(async () => {
  ({ folder: root, remove } = await scratchFolder());
});

after(() => remove());

/** Somebody's certificate for these very names, by an authority that calls itself like the cluster's. */
async function foreignIdentity(name: string): Promise<Identity> {
  const folder = join(root, `${name}-foreign`);
  await makeAuthority({ folder, name: 'understudy default' });
  const made = await makeCertificate({
    authority: folder,
    kind: 'node',
    name: 'n1',
    names: LOCALHOST,
    prefix: join(folder, 'n1'),
  });
  return { key: await readFile(made.files.key, 'utf8'), cert: await readFile(made.files.cert, 'utf8') };
}

const commands = [['status'], ['pause'], ['failover', '--to', 'n2', '--force', '--yes-lose-data']];
const logins = [
  ['sql', 'select 1'],
  ['probe', '--for', '1s'],
];
/** MariaDB's login is that of MySQL: one driver for both. */
const versions = { postgres: '17', mysql: '9.7' };
const forged = status({ epoch: 999, members: [leading('n1'), member('n2')] });

for (const engine of ['postgres', 'mysql'] as const) {
  for (const kind of ['without TLS', 'with TLS of another authority'] as const) {
    test(`${engine}, squatters ${kind}: they learn nothing, and nobody believes them`, async () => {
      const folder = join(root, `${engine}-${kind.replaceAll(' ', '-')}`);
      await prepareFolders(folder, ['n1', 'n2']);
      const { nodes, name } = await planState(folder, { engine, nodes: 2, command: [] }, versions[engine]);
      const paths = clusterPaths(folder);
      const named = nodes.map((node) => ({ name: node.name, address: '127.0.0.1' }));
      await ensureCertificates(paths, name, { database: named, api: named, etcd: [] });
      const { superuser, token } = await ensureSecrets(paths);
      const identity = kind === 'without TLS' ? null : await foreignIdentity(engine);
      const rogues: Rogue[] = [];
      for (const { apiPort, dbPort } of nodes) {
        rogues.push(await rogueAgent(apiPort, identity, forged));
        rogues.push(await (engine === 'postgres' ? roguePostgres : rogueMysql)(dbPort, identity));
      }
      try {
        const lines = [...(engine === 'postgres' ? commands : []), ...logins];
        for (const ran of await Promise.all(lines.map((args) => cli([...args, '--data-dir', folder])))) {
          assert.ok(ran.code === 4 || ran.code === 130, `${ran.code}: ${ran.stdout}${ran.stderr}`);
        }
        // The agents of all engines are asked in the same way.
        const asked = engine === 'postgres' ? rogues : rogues.filter((_, index) => index % 2 === 1);
        assert.ok(
          asked.every((rogue) => rogue.connections() > 0),
          'a port was not asked at all',
        );
        const heard = rogues.map((rogue) => rogue.heard()).join('\n');
        for (const secret of [superuser, token]) assert.ok(!heard.includes(secret), heard.slice(0, 500));
        // Not even who would log in, or what is asked for.
        assert.doesNotMatch(heard, /bearer|GET \/|POST|select 1|postgres\0|admin/i);
      } finally {
        for (const rogue of rogues) await rogue.close();
      }
    });
  }
}
