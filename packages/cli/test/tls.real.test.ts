// Goal: a cluster of this machine encrypts what goes from server to server, believes its own authority only, and takes renewed
// certificates while it runs. Method: a real cluster, asked for what its connections are; then certificates of a foreign authority.
import assert from 'node:assert/strict';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { statusViewSchema } from '@understudy/agent/client';
import { LOCALHOST, makeAuthority, makeCertificate } from '@understudy/certs';
import { createLocalCluster, type LocalCluster } from '@understudy/local';
import pg from 'pg';
import { exchange } from '../src/client/http.ts';
import { ownCommand } from '../src/invocation.ts';
import { cli } from './support/cli.ts';
import { eventually } from './support/eventually.ts';
import { scratchFolder } from './support/folders.ts';
import { rogueAgent, roguePostgres } from './support/rogues.ts';

interface Sender {
  readonly name: string;
  readonly ssl: boolean;
}

const senders =
  // Each agent has a session of its own to its server, over a Unix socket.
  "select split_part(application_name, '.', 1) as name, ssl from pg_stat_ssl join pg_stat_replication using (pid) where client_addr is not null";

async function connected<T>(
  cluster: LocalCluster,
  node: string,
  work: (client: pg.Client) => Promise<T>,
  ca?: string,
): Promise<T> {
  const { host, dbPort } = cluster.node(node).address;
  const ssl = ca === undefined ? false : { ca };
  const client = new pg.Client({ host, port: dbPort, ...cluster.login, ssl, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

const sendersOf = (cluster: LocalCluster, leader: string): Promise<Sender[]> =>
  connected(cluster, leader, async (client) =>
    // An agent that asks why its server gets nothing is no replica.
    (await client.query<Sender>(senders)).rows.filter(({ name }) => !name.startsWith('understudy ')),
  );

/** Serial number of the certificate that a node's server shows. */
const shownBy = (cluster: LocalCluster, node: string, ca: string): Promise<string | null> =>
  connected(
    cluster,
    node,
    async (client) => {
      const { stream } = client.connection;
      return stream instanceof TLSSocket ? stream.getPeerCertificate().serialNumber : null;
    },
    ca,
  );

async function newCluster(t: TestContext): Promise<{ root: string; open: () => Promise<LocalCluster> }> {
  const { folder: root, remove } = await scratchFolder();
  t.after(remove);
  const open = async (): Promise<LocalCluster> => {
    const cluster = await createLocalCluster({ folder: join(root, 'cluster'), nodes: 2, command: ownCommand });
    t.after(() => cluster.kill());
    return cluster;
  };
  return { root, open };
}

test('between the nodes of a cluster of this machine', { timeout: 240_000 }, async (t) => {
  const { root, open } = await newCluster(t);
  const cluster = await open();
  const leader = await cluster.start();
  const [replica = ''] = cluster.nodes.map(({ name }) => name).filter((name) => name !== leader);
  const at = (file: string): string => join(cluster.paths.tls, file);
  const ca = await readFile(at('ca/ca.pem'), 'utf8');

  await t.test('replication is encrypted', async () => {
    assert.deepEqual(await sendersOf(cluster, leader), [{ name: replica, ssl: true }]);
  });

  await t.test('a renewed certificate is taken without a restart', async () => {
    const pid = cluster.node(leader).server()?.pid;
    const before = await shownBy(cluster, leader, ca);
    assert.ok(before !== null && pid !== undefined);
    const { view } = await makeCertificate({
      authority: at('ca'),
      kind: 'node',
      name: leader,
      prefix: at(leader),
      existing: 'renew',
    });
    assert.notEqual(view.serial, before);
    await eventually('the new certificate', async () =>
      (await shownBy(cluster, leader, ca)) === view.serial ? true : null,
    );
    assert.equal(cluster.node(leader).server()?.pid, pid);
  });

  await t.test('a certificate that ends soon is warned of by all, and measured', async () => {
    await makeCertificate({
      authority: at('ca'),
      kind: 'node',
      name: replica,
      prefix: at(replica),
      days: 20,
      existing: 'renew',
    });
    const warning = new RegExp(`^${replica}: the engine certificate .*${replica}\\.pem expires in (19|20) days`);
    await eventually("a warning of the replica's in what the leader says", async () => {
      const { warnings } = await cluster.node(leader).api.status();
      return warnings.find((each) => warning.test(each)) ?? null;
    });
    const url = `${cluster.node(replica).address.apiUrl}/metrics`;
    const tls = { ca: await readFile(cluster.caFile ?? '', 'utf8') };
    const { text: metrics } = await exchange({ method: 'GET', url, timeoutMs: 10_000, tls });
    const left = Number(/^understudy_certificate_expiry_seconds\{.*use="engine"\} (\S+)$/m.exec(metrics)?.[1]);
    assert.ok(left > 19 * 86_400 && left <= 20 * 86_400, `${left}`);
  });

  await t.test('a replica with a certificate of another authority is refused, until it has its own again', async () => {
    const foreign = join(root, 'foreign');
    await makeAuthority({ folder: foreign, name: `understudy ${cluster.state.name}` });
    const names = { authority: foreign, kind: 'node', name: replica, names: LOCALHOST } as const;
    const { files } = await makeCertificate({ ...names, prefix: join(root, replica) });
    for (const end of ['pem', 'key']) await copyFile(at(`${replica}.${end}`), join(root, `own.${end}`));
    await copyFile(files.key, at(`${replica}.key`));
    await copyFile(files.cert, at(`${replica}.pem`));
    // Its server's folder has the copies that it uses.
    const used = join(cluster.node(replica).address.socketFolder, 'cert.pem');
    const theirs = await readFile(files.cert, 'utf8');
    await eventually('it takes the files', async () => ((await readFile(used, 'utf8')) === theirs ? true : null));
    await connected(cluster, leader, (client) =>
      client.query('select pg_terminate_backend(pid) from pg_stat_replication where client_addr is not null'),
    );
    await eventually('a refusal in its log', async () => {
      const log = await serverLog(cluster, replica);
      return /could not connect to the primary server.*(certificate|unknown ca)/is.test(log) ? true : null;
    });
    assert.deepEqual(await sendersOf(cluster, leader), []);
    for (const end of ['key', 'pem']) await copyFile(join(root, `own.${end}`), at(`${replica}.${end}`));
    await eventually('it streams again', async () => ((await sendersOf(cluster, leader)).length === 1 ? true : null));
    assert.deepEqual(await sendersOf(cluster, leader), [{ name: replica, ssl: true }]);
  });

  await t.test('squatters on the ports of a dead member learn nothing, and change no answer', async () => {
    const here = (...args: readonly string[]) => cli([...args, '--data-dir', cluster.folder]);
    const look = async () => statusViewSchema.parse(JSON.parse((await here('status', '--json')).stdout));
    const before = await look();
    const { address } = cluster.node(replica);
    const token = (await readFile(cluster.paths.token, 'utf8')).trim();
    await cluster.node(replica).killHost();
    const forged = { ...before, epoch: 999, leader: replica, answeredBy: replica };
    const agent = await rogueAgent(Number(new URL(address.apiUrl).port), null, forged);
    const server = await roguePostgres(address.dbPort, null);
    try {
      await eventually('the other agent asks there', async () => (agent.connections() >= 3 ? true : null));
      const seen = await look();
      assert.deepEqual([seen.epoch, seen.leader], [before.epoch, before.leader]);
      assert.ok(!seen.members.some(({ id, agent: { kind } }) => id === replica && kind === 'fresh'));
      for (const command of [['pause'], ['resume'], ['sql', 'select 1']]) {
        const ran = await here(...command);
        assert.equal(ran.code, 0, ran.stderr);
      }
      assert.equal((await here('sql', '--on', replica, 'select 1')).code, 4);
      assert.ok(server.connections() >= 2);
      const heard = agent.heard() + server.heard();
      for (const secret of [cluster.login.password, token]) assert.ok(!heard.includes(secret));
      assert.doesNotMatch(heard, /bearer|GET \/|POST|replication|postgres/i);
    } finally {
      await Promise.all([agent.close(), server.close()]);
    }
    cluster.node(replica).start();
    await eventually('it is back', async () => ((await here('status', '--check')).code === 0 ? true : null), 60_000);
  });

  await t.test('a cluster that was made without starts without', async () => {
    await cluster.stop();
    const { tls: _, ...earlier } = JSON.parse(await readFile(cluster.paths.state, 'utf8'));
    await writeFile(cluster.paths.state, JSON.stringify(earlier));
    const again = await open();
    const first = await again.start();
    assert.deepEqual(
      (await sendersOf(again, first)).map(({ ssl }) => ssl),
      [false],
    );
    await again.stop();
  });
});

async function serverLog(cluster: LocalCluster, node: string): Promise<string> {
  return readFile(join(cluster.node(node).address.socketFolder, 'postgres.log'), 'utf8').catch(() => '');
}
