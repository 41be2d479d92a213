import assert from 'node:assert/strict';
import { it } from 'node:test';
import { engineConformance } from '@understudy/engine/conformance';
import { postgresHarness, serversOf } from './harness.ts';

/** The engine's conformance suite on one major version: a file for each, so that they run beside each other. */
export async function testConformance(major: number): Promise<void> {
  const servers = await serversOf([major]);
  it('has a server to test with', () =>
    assert(servers.length > 0, `no PostgreSQL ${major} was found: npm run servers -- get`));
  for (const server of servers) engineConformance(postgresHarness(server));
}
