import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeAuthority, makeCertificate } from '@understudy/certs';
import { memberId } from '@understudy/core';
import { Stage } from '@understudy/engine/conformance';
import { ackAccount } from '../src/names.ts';
import { ServerSession } from '../src/sql/session.ts';
import { makeOwnFolder, mysqlHarness, nodeOf, type TestNode, testSecrets } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

interface Files {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** An authority of its own, and what makes a certificate for a member at 127.0.0.1. */
async function authorityOf(t: TestContext): Promise<(member: string) => Promise<Files>> {
  const folder = await makeOwnFolder();
  t.after(() => rm(folder, { recursive: true, force: true }));
  const authority = join(folder, 'ca');
  const { files: own } = await makeAuthority({ folder: authority });
  const names = { hosts: [], addresses: ['127.0.0.1'] };
  return async (name) => {
    const { files } = await makeCertificate({ authority, kind: 'node', name, names, prefix: join(folder, name) });
    return { ca: own.cert, ...files };
  };
}

async function showing({ ca, cert, key }: Files, shows: 'certificate' | 'nothing') {
  const [authority, ownCert, ownKey] = await Promise.all([ca, cert, key].map((file) => readFile(file, 'utf8')));
  const own = shows === 'nothing' ? null : { cert: ownCert ?? '', key: ownKey ?? '' };
  return { ca: authority ?? '', own, verify: 'full' } as const;
}

/** Whoever may make accounts tries to take ours over, and to let an acknowledger in that is locked out. */
async function takeNoAccount(leader: TestNode, users: readonly string[]): Promise<void> {
  const login = { user: 'mallory', password: "mallory's of the tests" };
  await leader.sql([
    `create user ${login.user}@'%' identified by "${login.password}"`,
    `grant create user on *.* to ${login.user}@'%'`,
  ]);
  const at = { kind: 'tcp', host: leader.host, port: leader.port } as const;
  const mallory = await ServerSession.open({ at, ...login, tls: null }, 5000);
  for (const user of users) {
    for (const change of ['account unlock', "identified by 'of mallory'", 'require none']) {
      await assert.rejects(mallory.query(`alter user '${user}'@'%' ${change}`), /SYSTEM_USER/, `${user}: ${change}`);
    }
  }
  await mallory.end();
}

for (const server of await testServers(testServerNames)) {
  describe(`${server.flavour} ${server.version}: TLS between members`, () => {
    it('copies, follows and acknowledges over encrypted connections, and lets nobody in but the member that an account is for', async (t) => {
      const make = await authorityOf(t);
      const [n1, n2] = [await make('n1'), await make('n2')];
      const foreign = await (await authorityOf(t))('n2');
      const harness = mysqlHarness(server, (member) => ({ tls: member === 'n1' ? n1 : n2 }));
      const stage = new Stage(await harness.makeCluster(2));
      try {
        const leader = await stage.build(1);
        assert.equal(await (await stage.connect(leader)).write(1), 'acknowledged');
        const at = { kind: 'tcp', host: leader.host, port: leader.port } as const;
        const clone = { at, user: 'us_clone', password: testSecrets.clone };
        const session = await ServerSession.open({ ...clone, tls: await showing(n1, 'certificate') }, 5000);
        const [row] = await session.query("show session status like 'Ssl_cipher'");
        assert.notEqual(row?.Value, '');
        await session.end();
        const acks = { at, user: ackAccount(memberId('n2')), password: testSecrets.replication };
        await (await ServerSession.open({ ...acks, tls: await showing(n2, 'certificate') }, 5000)).end();
        for (const login of [clone, acks]) {
          await assert.rejects(ServerSession.open({ ...login, tls: null }, 5000), /Access denied/);
          const unshown = ServerSession.open({ ...login, tls: await showing(n2, 'nothing') }, 5000);
          await assert.rejects(unshown, /Access denied/, 'without a certificate');
          const stranger = ServerSession.open({ ...login, tls: await showing(foreign, 'certificate') }, 5000);
          await assert.rejects(stranger, /certificate|signature/i);
        }
        const inItsName = ServerSession.open({ ...acks, tls: await showing(n1, 'certificate') }, 5000);
        await assert.rejects(inItsName, /Access denied/, 'another member, which has the password as well');
        // MariaDB has no right that keeps them from it.
        if (server.flavour === 'mysql') await takeNoAccount(nodeOf(leader), [clone.user, acks.user]);
      } finally {
        await stage.close();
      }
    });
  });
}
