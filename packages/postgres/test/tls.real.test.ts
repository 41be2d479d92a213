import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Stage } from '@understudy/engine/conformance';
import { makeRoot, postgresHarness, serversOf } from './harness.ts';
import { sql } from './sql.ts';

const [server] = await serversOf([17, 15]);
assert(server !== undefined, 'no PostgreSQL was found: npm run servers -- get');

const openssl = ['/usr/bin/openssl', '/usr/local/bin/openssl'].find((path) => existsSync(path));

/** An authority and one certificate for 127.0.0.1, made by the openssl program. */
function makeCertificates(folder: string): { ca: string; cert: string; key: string } {
  const run = (...args: string[]): void => {
    execFileSync(openssl ?? 'openssl', args, { cwd: folder, stdio: 'pipe' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority');
  const extension = ['-addext', 'subjectAltName=IP:127.0.0.1'];
  run(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'key.pem',
    '-out',
    'cert.pem',
    '-days',
    '2',
    '-subj',
    '/CN=node',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    ...extension,
  );
  return { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
}

describe('TLS between members', { skip: openssl === undefined ? 'there is no openssl program' : false }, () => {
  for (const verify of ['ca', 'full'] as const) {
    it(`copies, follows and acknowledges over verified connections (${verify}), and over no others`, async (t) => {
      const tls = { ...makeCertificates(await makeRoot(t)), verify };
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
      } finally {
        await stage.close();
      }
    });
  }
});
