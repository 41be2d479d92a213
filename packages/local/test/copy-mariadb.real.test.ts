// Goal: a member of a real MariaDB cluster is copied as files over the agents' API, and nobody gets them without the token.
import assert from 'node:assert/strict';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pollUntil } from '@understudy/base';
import { callHttps } from '../src/https.ts';
import { createLocalCluster, readinessOf, statusOf } from '../src/index.ts';
import { understudyCommand } from './folders.ts';

const timing = { everyMs: 100, timeoutMs: 60_000 };

test('the second member of a MariaDB cluster is a copy of the files of the first', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'us-local-'));
  const cluster = await createLocalCluster({
    folder,
    engine: 'mariadb',
    version: '11.8',
    nodes: 2,
    command: understudyCommand,
  });
  t.after(() => cluster.destroy());
  await cluster.start();
  let seen = '';
  const leader = await pollUntil(async () => {
    const readiness = readinessOf(await statusOf(cluster.nodes), 2);
    seen = readiness.kind === 'ready' ? '' : readiness.why;
    return readiness.kind === 'ready' ? readiness.leader : null;
  }, timing);
  assert.ok(leader !== null, seen);
  const ca = await readFile(cluster.caFile ?? '', 'utf8');
  const ask = (method: string, path: string, body?: string) =>
    callHttps(
      {
        method,
        url: `${cluster.node(leader).address.apiUrl}${path}`,
        headers: body === undefined ? {} : { 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body }),
        timeoutMs: 10_000,
      },
      { ca },
    );

  const logsOf = async (): Promise<string> => {
    const files = cluster.nodes.map(({ name }) => readFile(join(folder, 'logs', `${name}.log`), 'utf8'));
    return (await Promise.all(files)).join('');
  };
  const { text: metrics } = await ask('GET', '/metrics');
  assert.match(metrics, /^understudy_copies_total\{[^}]*\} 1$/m, await logsOf());
  const logs = await logsOf();
  assert.match(logs, /A copy of the files is sent to n\d/);
  assert.doesNotMatch(logs, /is copied as statements/);

  const body = JSON.stringify({ member: 'n2', engine: 'mariadb', version: '11.8.1' });
  const stranger = await ask('POST', '/understudy/copy', body);
  assert.equal(stranger.status, 403);
  assert.match(stranger.text, /^\{/);
});
