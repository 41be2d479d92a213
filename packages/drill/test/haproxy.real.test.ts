// Goal: an HAProxy configured as Patroni's documentation shows (httpchk on /primary and /replica of each agent) follows the primary,
// without knowing that it is not Patroni. Method: a real HAProxy in front of a real cluster, a switchover, the same address again.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createLocalCluster, type LocalCluster } from '@understudy/local';
import { findHaproxy } from '@understudy/servers';
import pg from 'pg';

const command = [process.execPath, resolve(import.meta.dirname, '../../cli/src/main.ts')];

test('HAProxy with a configuration written for Patroni follows the primary', { timeout: 180_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'us-ha-'));
  await chmod(folder, 0o755);
  const cluster = await createLocalCluster({ folder: join(folder, 'c'), command });
  // One hook: hooks run in the order in which they were added, and the folder must outlive the cluster.
  t.after(async () => {
    await cluster.destroy();
    await rm(folder, { recursive: true, force: true });
  });
  const first = await cluster.start();
  const ports = { writes: await freePort(), reads: await freePort() };
  await startHaproxy(t, folder, configuration(cluster, ports));
  // HAProxy takes every server for healthy until its first check of it.
  const isFirst = (port: number) => port === portOf(cluster, first);
  assert.ok(await nodeBehind(cluster, ports.writes, isFirst));
  assert.ok(await nodeBehind(cluster, ports.reads, (port) => !isFirst(port)));

  const target = cluster.nodes.find((node) => node.name !== first)?.name ?? '';
  await cluster.node(first).api.switchover({ to: target, waitMs: 20_000 });

  assert.ok(await nodeBehind(cluster, ports.writes, (port) => port === portOf(cluster, target)));
});

/** As in Patroni's own example, with shorter intervals. */
function configuration(cluster: LocalCluster, ports: { readonly writes: number; readonly reads: number }): string {
  const servers = cluster.nodes
    .map(({ name, address }) => {
      const api = new URL(address.apiUrl);
      return `    server ${name} ${address.host}:${address.dbPort} maxconn 100 check addr ${api.hostname} port ${api.port}`;
    })
    .join('\n');
  const listen = (name: string, port: number, path: string) => `
listen ${name}
    bind 127.0.0.1:${port}
    option httpchk OPTIONS ${path}
    http-check expect status 200
    default-server inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions check-ssl verify required ca-file ${cluster.caFile}
${servers}
`;
  return `global
    maxconn 100
defaults
    mode tcp
    retries 2
    timeout client 30m
    timeout connect 4s
    timeout server 30m
    timeout check 2s
${listen('primary', ports.writes, '/primary')}${listen('replicas', ports.reads, '/replica')}`;
}

async function startHaproxy(t: TestContext, folder: string, text: string): Promise<ChildProcess> {
  const haproxy = await findHaproxy();
  const file = join(folder, 'haproxy.cfg');
  await writeFile(file, text);
  const child = spawn(haproxy.program, ['-db', '-f', file], {
    env: { ...process.env, ...haproxy.env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

/** The port of the server behind HAProxy, once it is a wanted one; null when it has not become so within 30 s. */
async function nodeBehind(
  cluster: LocalCluster,
  port: number,
  isWanted: (serverPort: number) => boolean,
): Promise<number | null> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    const found = await askPort(cluster, port);
    if (found !== null && isWanted(found)) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  return null;
}

async function askPort(cluster: LocalCluster, port: number): Promise<number | null> {
  const client = new pg.Client({ host: '127.0.0.1', port, ...cluster.login, connectionTimeoutMillis: 2000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ port: string }>("select current_setting('port') as port");
    return Number(rows[0]?.port);
  } catch {
    return null;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function portOf(cluster: LocalCluster, name: string): number {
  return cluster.node(name).address.dbPort;
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? done(address.port) : fail(new Error('no port')),
      );
    });
  });
}
