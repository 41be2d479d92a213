import assert from 'node:assert/strict';
import { it } from 'node:test';
import { engineConformance } from '@understudy/engine/conformance';
import { mysqlHarness } from './harness.ts';
import { type TestServerName, testServers } from './servers.ts';

/** Registers the engine's conformance suite on one server; each has a file of its own, so that they run beside each other. */
export async function testConformance(name: TestServerName): Promise<void> {
  const servers = await testServers([name]);
  it('has a server to test with', () =>
    assert(servers.length > 0, `${name} was not found: npm run servers -- get ${name}`));
  for (const server of servers) engineConformance(mysqlHarness(server));
}
