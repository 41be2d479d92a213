import assert from 'node:assert/strict';
import { it } from 'node:test';
import { engineConformance } from '@understudy/engine/conformance';
import { mysqlHarness } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

// The engine's conformance suite on every server that was fetched on this machine. UNDERSTUDY_TEST_MYSQL=mariadb-11.8 chooses one.
const chosen = process.env.UNDERSTUDY_TEST_MYSQL;
const servers = await testServers(testServerNames.filter((name) => chosen === undefined || name === chosen));

it('has a server to test with', () =>
  assert(servers.length > 0, 'no MySQL or MariaDB was found: npm run servers -- get mysql-9.7'));

for (const server of servers) engineConformance(mysqlHarness(server));
