import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeAuthority, makeCertificate } from '@understudy/certs';
import { Stage } from '@understudy/engine/conformance';
import { ServerSession } from '../src/sql/session.ts';
import { makeOwnFolder, mysqlHarness, testSecrets } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

/** An authority of its own and one certificate for 127.0.0.1. */
async function makeCertificates(t: TestContext): Promise<{ ca: string; cert: string; key: string }> {
  const folder = await makeOwnFolder();
  t.after(() => rm(folder, { recursive: true, force: true }));
  const authority = await makeAuthority({ folder: join(folder, 'ca') });
  const names = { hosts: [], addresses: ['127.0.0.1'] };
  const place = { authority: join(folder, 'ca'), prefix: join(folder, 'node') };
  const { files } = await makeCertificate({ ...place, kind: 'node', name: 'node', names });
  return { ca: authority.files.cert, ...files };
}

const trusting = async (ca: string) => ({ ca: await readFile(ca, 'utf8'), own: null, verify: 'full' }) as const;

for (const server of await testServers(testServerNames)) {
  describe(`${server.flavour} ${server.version}: TLS between members`, () => {
    it('copies, follows and acknowledges over encrypted connections, and lets nobody in without', async (t) => {
      const [tls, foreign] = [await makeCertificates(t), await makeCertificates(t)];
      const stage = new Stage(await mysqlHarness(server, { tls }).makeCluster(2));
      try {
        const leader = await stage.build(1);
        assert.equal(await (await stage.connect(leader)).write(1), 'acknowledged');
        const at = { kind: 'tcp', host: leader.host, port: leader.port } as const;
        const login = { at, user: 'us_clone', password: testSecrets.clone };
        const session = await ServerSession.open({ ...login, tls: await trusting(tls.ca) }, 5000);
        const [row] = await session.query("show session status like 'Ssl_cipher'");
        assert.notEqual(row?.Value, '');
        await session.end();
        const plain = ServerSession.open({ ...login, tls: null }, 5000);
        await assert.rejects(plain, /Access denied/);
        const stranger = ServerSession.open({ ...login, tls: await trusting(foreign.ca) }, 5000);
        await assert.rejects(stranger, /certificate|signature/i);
      } finally {
        await stage.close();
      }
    });
  });
}
