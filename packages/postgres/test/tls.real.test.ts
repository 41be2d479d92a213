import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeAuthority, makeCertificate } from '@understudy/certs';
import { memberId } from '@understudy/core';
import { Stage } from '@understudy/engine/conformance';
import pg from 'pg';
import { slotName, standbyName } from '../src/names.ts';
import { makeOwnFolder, postgresHarness, serversOf, testSecrets } from './harness.ts';
import { sql } from './sql.ts';
import { Stranger } from './stranger.ts';

const [server] = await serversOf([17, 15]);
assert(server !== undefined, 'no PostgreSQL was found: npm run servers -- get');

interface Files {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** An authority of its own, and what makes a certificate for a member at 127.0.0.1. */
async function authorityOf(t: TestContext): Promise<(member: string) => Promise<Files>> {
  const folder = await makeOwnFolder(t);
  const authority = join(folder, 'ca');
  const { files: own } = await makeAuthority({ folder: authority });
  const names = { hosts: [], addresses: ['127.0.0.1'] };
  return async (name) => {
    const { files } = await makeCertificate({ authority, kind: 'node', name, names, prefix: join(folder, name) });
    return { ca: own.cert, ...files };
  };
}

/** Logs in as a replica would, with the right password. Returns `accepted`, or the code of the refusal. */
async function logIn(
  { host, port }: { readonly host: string; readonly port: number },
  trusted: string,
  shown: { readonly cert: string; readonly key: string } | null,
): Promise<string> {
  const client = new pg.Client({
    host,
    port,
    user: 'understudy_replication',
    password: testSecrets.replication,
    database: 'postgres',
    replication: 'true',
    connectionTimeoutMillis: 10_000,
    ssl: {
      ca: await readFile(trusted),
      ...(shown === null ? {} : { cert: await readFile(shown.cert), key: await readFile(shown.key) }),
      checkServerIdentity: () => undefined,
    },
  } as pg.ClientConfig);
  client.on('error', () => undefined);
  try {
    await client.connect();
    return 'accepted';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

describe('TLS between members', () => {
  for (const verify of ['ca', 'full'] as const) {
    it(`copies, follows and acknowledges over verified connections (${verify}), and over no others`, async (t) => {
      const [tls, foreign] = [await (await authorityOf(t))('node'), await (await authorityOf(t))('node')];
      const stage = new Stage(await postgresHarness(server, { tls: { ...tls, verify } }).makeCluster(2));
      try {
        const leader = await stage.build(1);
        const rows = await sql(
          leader,
          "select ssl, version from pg_stat_ssl join pg_stat_replication using (pid) where usename = 'understudy_replication'",
        );
        assert.equal(rows.length, 1);
        assert.equal(rows[0]?.ssl, true);
        const hba = await sql(
          leader,
          "select type, auth_method from pg_hba_file_rules where 'understudy_replication' = any (user_name) order by rule_number",
        );
        assert.deepEqual(
          hba.map((row) => [row.type, row.auth_method]),
          [
            ['hostssl', 'scram-sha-256'],
            ['host', 'reject'],
            ['host', 'reject'],
          ],
        );
        const { host, port } = leader;
        assert.equal(await logIn({ host, port }, tls.ca, tls), 'accepted');
        assert.equal(await logIn({ host, port }, tls.ca, null), '28000', 'without a certificate');
        assert.notEqual(await logIn({ host, port }, tls.ca, foreign), 'accepted', "another authority's certificate");
        assert.match(await logIn({ host, port }, foreign.ca, tls), /SIGNATURE|ISSUER|SELF_SIGNED/);
      } finally {
        await stage.close();
      }
    });
  }

  it('lets nobody acknowledge in the name of another member, who has the password and a certificate of his own', async (t) => {
    const make = await authorityOf(t);
    const of = { n1: await make('n1'), n2: await make('n2'), n3: await make('n3') };
    const harness = postgresHarness(server, (member) => ({ tls: member === 'n1' ? of.n1 : of.n2 }));
    const stage = new Stage(await harness.makeCluster(2));
    try {
      const leader = await stage.build(1);
      await stage.run(stage.node(2), { kind: 'stop', mode: 'orderly' });
      await stage.until(stage.node(2), 'stopped');
      const [ca, cert, key] = await Promise.all(
        [of.n3.ca, of.n3.cert, of.n3.key].map((file) => readFile(file, 'utf8')),
      );
      const name = standbyName('conformance', memberId('n2'));
      const shown = { slot: slotName(memberId('n2')), ssl: { ca, cert, key } };
      const thief = await Stranger.join(leader, name, 'replication', shown);
      const { acks, replicas } = await stage.until(leader, 'primary', (state) => state.acks.running === null);
      assert.match(acks.unproven ?? '', /not a member: .*application_name "n2\..*", certificate of "\/CN=n3"/);
      assert.deepEqual(replicas, []);
      thief.leave();
    } finally {
      await stage.close();
    }
  });
});
