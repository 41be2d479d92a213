import assert from 'node:assert/strict';
import { it } from 'node:test';
import { engineConformance } from '@understudy/engine/conformance';
import { postgresHarness, serversOf } from './harness.ts';

// The engine's conformance suite on every supported major version that is on this machine: with the npm binaries (which have no
// pg_rewind) and, where they are there, Debian's and the fetched ones. UNDERSTUDY_TEST_PG=17 chooses one.
const chosen = process.env.UNDERSTUDY_TEST_PG;
const servers = await serversOf(chosen === undefined ? [15, 17, 18] : [Number(chosen)]);

it('has a server to test with', () => assert(servers.length > 0, 'no PostgreSQL was found: npm run servers -- get'));

for (const server of servers) engineConformance(postgresHarness(server));
