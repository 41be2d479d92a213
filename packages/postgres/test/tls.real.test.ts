import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeAuthority, makeCertificate } from '@understudy/certs';
import { Stage } from '@understudy/engine/conformance';
import pg from 'pg';
import { makeOwnFolder, postgresHarness, serversOf, testSecrets } from './harness.ts';
import { sql } from './sql.ts';

const [server] = await serversOf([17, 15]);
assert(server !== undefined, 'no PostgreSQL was found: npm run servers -- get');

/** An authority of its own and one certificate for 127.0.0.1. */
async function makeCertificates(t: TestContext): Promise<{ ca: string; cert: string; key: string }> {
  const folder = await makeOwnFolder(t);
  const authority = await makeAuthority({ folder: join(folder, 'ca') });
  const names = { hosts: [], addresses: ['127.0.0.1'] };
  const request = {
    authority: join(folder, 'ca'),
    kind: 'node',
    name: 'node',
    names,
    prefix: join(folder, 'node'),
  } as const;
  const { files } = await makeCertificate(request);
  return { ca: authority.files.cert, ...files };
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
      const [tls, foreign] = [{ ...(await makeCertificates(t)), verify }, await makeCertificates(t)];
      const stage = new Stage(await postgresHarness(server, { tls }).makeCluster(2));
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
});
