import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ensureCertificates } from '../src/certificates.ts';
import { LocalError, type LocalErrorCode } from '../src/errors.ts';
import { clusterPaths, nodePaths, prepareFolders } from '../src/folder.ts';
import { lockFolder, lockHolder } from '../src/lock.ts';
import { describeCluster } from '../src/manage.ts';
import { nodeConfig } from '../src/node-config.ts';
import { claimPorts, planState } from '../src/plan.ts';
import { findFreePorts, isPortFree } from '../src/ports.ts';
import { ensureSecrets } from '../src/secrets.ts';
import { readState } from '../src/state.ts';
import { temporaryFolder } from './folders.ts';

const options = { command: [] };

function withCode(code: LocalErrorCode, text: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof LocalError && error.code === code && text.test(error.message);
}

/** Takes a port until the test ends. */
function occupy(test: TestContext, port: number): Promise<void> {
  const server = createServer();
  test.after(() => new Promise((resolve) => server.close(resolve)));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve());
  });
}

test('a new cluster gets a state that the next start finds again', async (t) => {
  const folder = await temporaryFolder(t);
  const state = await planState(folder, { ...options, nodes: 3, store: 'etcd', etcdMembers: 3 }, '17');
  assert.deepEqual(
    state.nodes.map((node) => node.name),
    ['n1', 'n2', 'n3'],
  );
  const ports = [...state.nodes.flatMap((node) => [node.apiPort, node.dbPort])];
  if (state.store.kind === 'etcd') ports.push(...state.store.members.flatMap((one) => [one.clientPort, one.peerPort]));
  assert.equal(new Set(ports).size, 12);
  assert.deepEqual(await planState(folder, options, '18'), state);
});

test("etcd on the nodes' hosts: a member on each of the first three, or a refusal that says what it needs", async (t) => {
  const onHosts = { ...options, nodes: 4, store: 'etcd', etcdHosts: 'nodes', hosts: 'namespaces' } as const;
  const { store } = await planState(await temporaryFolder(t), onHosts, '17');
  assert.ok(store.kind === 'etcd');
  assert.deepEqual(
    store.members.map(({ node }) => node),
    ['n1', 'n2', 'n3'],
  );
  for (const unfit of [{ nodes: 2 }, { hosts: 'loopback' }, { store: 'local' }] as const) {
    const refused = planState(await temporaryFolder(t), { ...onHosts, ...unfit }, '17');
    await assert.rejects(refused, withCode('STATE_INVALID', /network namespaces and at least 3 nodes/));
  }
});

test('options that contradict the kept cluster are refused by name', async (t) => {
  const folder = await temporaryFolder(t);
  await planState(folder, { ...options, nodes: 2 }, '17');
  const contradict = planState(folder, { ...options, nodes: 3, store: 'etcd' }, '17');
  await assert.rejects(
    contradict,
    withCode('STATE_INVALID', /number of nodes 3 \(the cluster there has 2\), store etcd \(.* local\)/),
  );
});

test('a MySQL cluster keeps its engine, its series, and a server_id for each node', async (t) => {
  const folder = await temporaryFolder(t);
  const state = await planState(folder, { ...options, engine: 'mysql', nodes: 2 }, '9.7');
  assert.deepEqual([state.engine, state.version, state.nodes.map((node) => node.serverId)], ['mysql', '9.7', [1, 2]]);
  assert.deepEqual(await planState(folder, { ...options, version: '9.7.4' }, '9.7'), state);
  for (const wanted of [{ engine: 'mariadb' }, { version: '9.8' }] as const) {
    await assert.rejects(
      planState(folder, { ...options, ...wanted }, '9.7'),
      withCode('STATE_INVALID', /cannot be given/),
    );
  }
});

test('a node of a MySQL cluster is configured with its number, one of PostgreSQL without', async (t) => {
  const folder = await temporaryFolder(t);
  const settings = {
    cluster: 'shop',
    member: 'n1',
    host: '127.0.0.1',
    apiPort: 1,
    dbPort: 2,
    store: { kind: 'local', path: '/s' },
    binDir: '/usr/sbin',
    version: '11.8',
    parameters: {},
    zone: null,
    databaseTls: null,
    apiTls: null,
    logLevel: 'info',
  } as const;
  const paths = [clusterPaths(folder), nodePaths(folder, 'n1')] as const;
  const { engine } = nodeConfig({ ...settings, engine: 'mariadb', serverId: 4 }, ...paths);
  assert.ok(engine.kind === 'mariadb');
  assert.deepEqual([engine.serverId, engine.version], [4, '11.8']);
  assert.ok(!('serverId' in nodeConfig({ ...settings, engine: 'postgres', serverId: null }, ...paths).engine));
  assert.throws(
    () => nodeConfig({ ...settings, engine: 'mysql', serverId: null }, ...paths),
    withCode('STATE_INVALID', /n1/),
  );
});

test('durability is a setting that may change', async (t) => {
  const folder = await temporaryFolder(t);
  await planState(folder, options, '17');
  assert.equal((await planState(folder, { ...options, durability: 'async' }, '17')).durability, 'async');
});

test('a new cluster is encrypted between its nodes; one of an earlier version stays as it is until it is told', async (t) => {
  const folder = await temporaryFolder(t);
  const { state: file } = clusterPaths(folder);
  const { tls, ...earlier } = await planState(folder, options, '17');
  assert.equal(tls, 'all');
  await writeFile(file, JSON.stringify(earlier));
  assert.equal((await planState(folder, options, '17')).tls, 'off');
  assert.equal((await planState(folder, { ...options, tls: 'replication' }, '17')).tls, 'replication');
  assert.equal((await planState(folder, options, '17')).tls, 'replication', 'it is remembered');
});

test('a cluster that an earlier version started is asked by the one authority that it has', async (t) => {
  const folder = await temporaryFolder(t);
  const { nodes: planned, name } = await planState(folder, options, '17');
  const nodes = planned.map((node) => ({ name: node.name, address: '127.0.0.1' }));
  const paths = clusterPaths(folder);
  await ensureCertificates(paths, name, { database: nodes, api: [], etcd: [] });
  const earlier = await describeCluster({ folder });
  assert.ok(earlier !== null && earlier.caFile !== null);
  assert.equal(earlier.caFile, earlier.databaseCaFile);
  await ensureCertificates(paths, name, { database: nodes, api: nodes, etcd: [] });
  const now = await describeCluster({ folder });
  assert.equal(now?.databaseCaFile, earlier.databaseCaFile, "the databases' own stays");
  assert.match(now?.caFile ?? '', /tls\/api\/ca\/ca\.pem$/);
});

test('agents know each other by a secret of its own, also in a cluster of an earlier version', async (t) => {
  const paths = clusterPaths(await temporaryFolder(t));
  await ensureSecrets(paths);
  const read = async (): Promise<Record<string, string>> => JSON.parse(await readFile(paths.secrets, 'utf8'));
  const { member = '', ...earlier } = await read();
  assert.ok(member.length >= 32 && !Object.values(earlier).includes(member));
  await writeFile(paths.secrets, JSON.stringify(earlier), { mode: 0o600 });
  await ensureSecrets(paths);
  const later = await read();
  assert.deepEqual({ ...later, member: '' }, { ...earlier, member: '' });
  assert.ok((later.member ?? '').length >= 32 && later.member !== member);
  assert.equal((await stat(paths.secrets)).mode & 0o777, 0o600);
  await ensureSecrets(paths);
  assert.deepEqual(await read(), later, 'it is made once');
});

test('certificates are made once, for the addresses of the nodes, and nobody else can read the keys', async (t) => {
  const paths = clusterPaths(await temporaryFolder(t));
  const holders = (address: string) => {
    const nodes = [{ name: 'n1', address }];
    return { database: nodes, api: nodes, etcd: [] };
  };
  const nodes = holders('127.0.0.1');
  const first = await ensureCertificates(paths, 'shop', nodes);
  const files = first.of.database.get('n1');
  const api = first.of.api.get('n1');
  assert.ok(files !== undefined && api !== undefined);
  const trusted = new X509Certificate(await readFile(api.ca));
  assert.ok(new X509Certificate(await readFile(api.cert)).checkIssued(trusted));
  assert.ok(
    !new X509Certificate(await readFile(files.cert)).checkIssued(trusted),
    "the database's key is none of the API",
  );
  assert.deepEqual(await ensureCertificates(paths, 'shop', nodes), first);
  assert.equal((await stat(paths.tls)).mode & 0o777, 0o700);
  for (const key of [files.key, api.key, join(paths.tls, 'ca', 'ca.key')])
    assert.equal((await stat(key)).mode & 0o777, 0o600);
  const moved = await ensureCertificates(paths, 'shop', holders('10.99.0.1'));
  assert.match(moved.notices.join(), /Renewed the certificate of n1 \(database\); it holds until \d{4}-/);
  await writeFile(files.cert, 'damaged');
  await assert.rejects(
    ensureCertificates(paths, 'shop', nodes),
    withCode('CERTIFICATES_FAILED', /n1\.pem is not a certificate .*Or remove .*tls: certificates are made anew/),
  );
  await rm(paths.tls, { recursive: true });
  assert.deepEqual((await ensureCertificates(paths, 'shop', nodes)).notices, []);
});

for (const [what, text] of [
  ['not JSON', 'hello'],
  ['of another version', '{"format": 2}'],
  ['empty', ''],
] as const) {
  test(`a state file that is ${what} is refused`, async (t) => {
    const folder = await temporaryFolder(t);
    const paths = clusterPaths(folder);
    await writeFile(paths.state, text);
    await assert.rejects(readState(paths), withCode('STATE_INVALID', /state\.json is damaged or of another version/));
  });
}

test('a port that somebody has taken meanwhile moves, and that is said', async (t) => {
  const folder = await temporaryFolder(t);
  const planned = await planState(folder, { ...options, nodes: 1 }, '17');
  const before = planned.nodes[0];
  assert.ok(before !== undefined);
  await occupy(t, before.dbPort);
  const { state, notices } = await claimPorts(folder, planned);
  assert.notEqual(state.nodes[0]?.dbPort, before.dbPort);
  assert.equal(state.nodes[0]?.apiPort, before.apiPort);
  assert.match(notices.join(), new RegExp(`Port ${before.dbPort} of n1's database is used by another program`));
  assert.deepEqual(await readState(clusterPaths(folder)), state);
});

test("a taken port of etcd's is refused, because its members know each other by it", async (t) => {
  const folder = await temporaryFolder(t);
  const planned = await planState(folder, { ...options, store: 'etcd' }, '17');
  assert.ok(planned.store.kind === 'etcd');
  await occupy(t, planned.store.members[0]?.peerPort ?? 0);
  await assert.rejects(
    claimPorts(folder, planned),
    withCode('STORE_FAILED', /of the cluster's etcd is used by another program/),
  );
});

test('free ports are free, distinct and not among those to be left alone', async () => {
  const first = await findFreePorts('127.0.0.1', 5, new Set());
  const second = await findFreePorts('127.0.0.1', 5, new Set(first));
  assert.equal(new Set([...first, ...second]).size, 10);
  for (const port of first) assert.equal(await isPortFree('127.0.0.1', port), true);
});

test('a folder is for one process at a time; its death frees it', async (t) => {
  const paths = clusterPaths(await temporaryFolder(t));
  assert.equal(lockHolder(paths), null);
  const lock = lockFolder(paths);
  assert.throws(() => lockFolder(paths), withCode('CLUSTER_BUSY', new RegExp(`in use by process ${process.pid}`)));
  assert.deepEqual(lockHolder(paths), { pid: process.pid });
  lock.release();
  lock.release();
  lockFolder(paths).release();
});

test('secrets are made once, and only their owner can read them', async (t) => {
  const paths = clusterPaths(await temporaryFolder(t));
  const secrets = await ensureSecrets(paths);
  assert.deepEqual(await ensureSecrets(paths), secrets);
  assert.equal(new Set(Object.values(secrets)).size, 5);
  for (const file of [paths.secrets, paths.token]) assert.equal((await stat(file)).mode & 0o777, 0o600);
  await writeFile(paths.secrets, '{"superuser": "a secret that must not be shown"}');
  await assert.rejects(
    ensureSecrets(paths),
    (error) => error instanceof LocalError && !error.message.includes('a secret that'),
  );
});

test('run folders are short enough for sockets, wherever the cluster lies', async (t) => {
  const folder = join(await temporaryFolder(t), 'a-folder-with-a-long-name'.repeat(5));
  const { runDir } = nodePaths(folder, 'n1');
  assert.ok(Buffer.byteLength(join(runDir, 'server', '.s.PGSQL.65535')) <= 107);
  assert.notEqual(runDir, nodePaths(`${folder}x`, 'n1').runDir);
  await prepareFolders(folder, ['n1']);
  t.after(async () => (await import('../src/cluster.ts')).removeFolder(folder));
  assert.equal((await stat(runDir)).isDirectory(), true);
  assert.equal((await readFile(join(folder, 'state.json')).catch(() => null)) === null, true);
});
