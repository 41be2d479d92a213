// Goal: the walkthrough of docs/three-hosts.md works as it is written. Method: its own commands and files, with three addresses of the
// loopback network as hosts and other folders; etcd, agents, PostgreSQL and HAProxy are real and speak TLS to each other.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findEtcd, findEtcdctl, findHaproxy, findPostgres } from '@understudy/servers';
import pg from 'pg';
import { ownCommand } from '../src/invocation.ts';
import { cleanEnvironment, cli, type Ran } from './support/cli.ts';
import { eventually } from './support/eventually.ts';
import { scratchFolder } from './support/folders.ts';
import { type CodeBlock, codeBlocks } from './support/pages.ts';
import { processesIn } from './support/processes.ts';

const names = ['n1', 'n2', 'n3'] as const;
/** A network that nobody else uses by chance: all of 127.0.0.0/8 is this machine. */
const network = `127.${randomInt(1, 250)}.${randomInt(1, 250)}.`;
const started: ChildProcess[] = [];
let root = '';
let remove: () => Promise<void> = async () => undefined;
let blocks: readonly CodeBlock[] = [];
let binDir = '';
let command: Awaited<ReturnType<typeof findEtcdctl>>;

/** The text of the one block that contains `sign`, with this test's addresses and folders. */
function block(sign: string, name = 'n1'): string {
  const found = blocks.filter(({ text }) => text.includes(sign));
  assert.equal(found.length, 1, `blocks with ${sign}`);
  const own = `${network}${name.slice(1)}`;
  return (found[0]?.text ?? '')
    .replace(/(listen|advertise|LISTEN|ADVERTISE)(.*)10\.0\.0\.1:/g, `$1$2${own}:`)
    .replaceAll('10.0.0.', network)
    .replaceAll(/member: n1|NAME=n1/g, (match) => match.replace('n1', name))
    .replaceAll('/etc/etcd/', join(root, 'pki', name, '/'))
    .replaceAll('/etc/understudy/', join(root, 'pki', name, '/'))
    .replaceAll('/var/lib/etcd/shop', join(root, name, 'etcd'))
    .replaceAll('/var/lib/understudy', join(root, name))
    .replaceAll('/run/understudy', join(root, name, 'run'))
    .replaceAll('/usr/lib/postgresql/17/bin', binDir)
    .replaceAll('shared_buffers: 4GB', 'shared_buffers: 32MB');
}

function start(program: string, args: readonly string[], env: Readonly<Record<string, string>>): void {
  started.push(
    spawn(program, args, {
      env: cleanEnvironment(env),
      stdio: 'ignore',
    }),
  );
}

const configOf = (name: string): string => join(root, 'pki', name, 'node.yaml');
const understudy = (...args: readonly string[]): Promise<Ran> =>
  cli(args, { env: { UNDERSTUDY_CONFIG: configOf('n1') } });

before(async () => {
  const scratch = await scratchFolder();
  ({ remove } = scratch);
  root = scratch.folder;
  blocks = await codeBlocks('docs/three-hosts.md');
  binDir = (await findPostgres({ version: '17' })).binDir;
  command = await findEtcdctl();
});

after(async () => {
  for (const child of started) child.kill('SIGKILL');
  await eventually('all gone', async () => {
    const left = await processesIn(root);
    for (const { pid } of left) process.kill(pid, 'SIGKILL');
    return left.length === 0 ? true : null;
  });
  await remove();
});

test('certificates and secrets: the commands of the page make files that the agents accept', async () => {
  const [node = '', main = ''] = ownCommand;
  const shell = `understudy() { '${node}' '${main}' "$@"; }\n`;
  const script = `${shell}${block('understudy cert ca')}`;
  const ran = spawnSync('sh', ['-euc', script], { cwd: root, encoding: 'utf8', timeout: 120_000 });
  assert.equal(ran.status, 0, ran.stderr);
  // The servers run as another user here; on a real host the agents run as that user.
  await chmod(join(root, 'pki'), 0o755);
  for (const name of names) {
    await chmod(join(root, 'pki', name), 0o755);
    await mkdir(join(root, name), { mode: 0o755 });
    await writeFile(configOf(name), block('cluster: shop', name));
  }
  const check = await cli(['config', 'check', configOf('n2')]);
  assert.equal(check.code, 0, check.stderr);
});

test('etcd with client certificates, and agent --check says that all is right', async () => {
  const etcd = await findEtcd();
  for (const name of names) {
    const lines = block('ETCD_NAME', name).trim().split('\n');
    const settings = lines.map((line): [string, string] => [
      line.slice(0, line.indexOf('=')),
      line.slice(line.indexOf('=') + 1),
    ]);
    start(etcd.program, [], { ...etcd.env, ...Object.fromEntries(settings) });
  }
  await eventually('etcd is healthy', () => (etcdctl(block('endpoint health')).status === 0 ? true : null));
  const users = etcdctl(block('etcdctl auth enable'));
  assert.equal(users.status, 0, users.stderr);
  let said = '';
  await eventually('agent --check', async () => {
    const ran = await cli(['agent', '--config', configOf('n3'), '--check']);
    said = ran.stdout + ran.stderr;
    return ran.code === 0 && /store +.*the cluster is new/.test(ran.stdout) ? true : null;
  }).catch((error: unknown) => assert.fail(`${String(error)}: ${said}`));
  assert.doesNotMatch(said, /one authority|has no "member"/);
  const shared = configOf('n3').replace('node.yaml', 'shared.yaml');
  await writeFile(shared, block('cluster: shop', 'n3').replaceAll(/(ca|cert|key): database/g, '$1: api'));
  assert.match((await cli(['agent', '--config', shared, '--check'])).stdout, /API and databases have one authority/);
});

test('a certificate alone writes nothing to etcd, and the user of one cluster nothing of another', async () => {
  const put = (key: string, as = ''): string => etcdctl(`${as}\netcdctl put ${key} x`).stderr;
  assert.match(put('understudy/shop/record'), /user name is empty|permission denied/);
  const asShop = 'export ETCDCTL_USER=understudy-shop ETCDCTL_PASSWORD="$(cat etcd.pass)"';
  assert.equal(put('understudy/shop/try', asShop), '');
  assert.equal(etcdctl(`${asShop}\netcdctl del understudy/shop/try`).status, 0);
  for (const key of ['understudy/shop2/record', 'understudy/other/record', 'health']) {
    assert.match(put(key, asShop), /permission denied/, key);
  }
});

test('three agents found a cluster in which nothing is lost and everything is encrypted', async () => {
  const [node = '', main = ''] = ownCommand;
  for (const name of names) start(node, [main, 'agent', '--config', configOf(name)], {});
  await eventually(
    'a whole cluster',
    async () => ((await understudy('status', '--check')).code === 0 ? true : null),
    90_000,
  );
  const text = (await understudy('status')).stdout;
  assert.match(text, /RPO +zero \(proven\)/);
  assert.equal((text.match(/sync-standby +streaming/g) ?? []).length, 2);
  const { ca, password } = await login();
  const { leader, members } = JSON.parse((await understudy('status', '--json')).stdout);
  const { host, port } = members.find(({ id }: { id: string }) => id === leader);
  const client = new pg.Client({ host, port, user: 'postgres', password, database: 'postgres', ssl: { ca } });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query(
    // Each agent has a session of its own to its server, over a Unix socket.
    "select split_part(application_name, '.', 1) as name, ssl from pg_stat_ssl join pg_stat_replication using (pid) where client_addr is not null order by 1",
  );
  await client.end();
  const followers = names.filter((name) => name !== leader);
  assert.deepEqual(
    rows,
    followers.map((name) => ({ name, ssl: true })),
  );
});

test('looking needs the authority, changing needs the token; the certificate of a member changes nothing', async () => {
  const api = `https://${network}1:8008,https://${network}2:8008`;
  const ca = join(root, 'pki', 'n1', 'api-ca.pem');
  const stranger = await cli(['status', '--api', api]);
  assert.equal(stranger.code, 4);
  assert.match(stranger.stderr, /certificate is signed by nobody known here\.\nnext: {2}.*--ca/);
  assert.equal((await cli(['status', '--api', api, '--ca', ca])).code, 0);
  assert.equal((await cli(['pause', '--api', api, '--ca', ca])).code, 3);
  assert.equal(
    (await cli(['pause', '--api', api, '--ca', ca, '--token-file', join(root, 'pki', 'api.token')])).code,
    0,
  );
  const pair = ['--cert', join(root, 'pki', 'n2', 'api.pem'), '--key', join(root, 'pki', 'n2', 'api.key')];
  const member = await cli(['resume', '--api', api, '--ca', ca, ...pair]);
  assert.equal(member.code, 3);
  assert.match(member.stderr, /n2 is an agent and changes nothing/);
  assert.equal(
    (await cli(['resume', '--api', api, '--ca', ca, '--token-file', join(root, 'pki', 'api.token')])).code,
    0,
  );
});

test("the database's key is no key to the API or to etcd, and its superuser reads no other one", async () => {
  const folder = join(root, 'pki', 'n2');
  const pair = ['--cert', join(folder, 'database.pem'), '--key', join(folder, 'database.key')];
  const at = ['--api', `https://${network}1:8008`, '--ca', join(folder, 'api-ca.pem')];
  const asked = await cli(['pause', ...at, ...pair]);
  assert.equal(asked.code, 3);
  assert.match(asked.stderr, /needs the bearer token/, 'it is the certificate of nobody');
  const asAgent = 'export ETCDCTL_USER=understudy-shop ETCDCTL_PASSWORD="$(cat etcd.pass)"';
  const asDatabase = `export ETCDCTL_CERT=${pair[1]} ETCDCTL_KEY=${pair[3]}`;
  const put = 'etcdctl --dial-timeout=2s --command-timeout=2s put understudy/shop/try x';
  assert.notEqual(
    etcdctl(`${asAgent}\n${asDatabase}\n${put}`).status,
    0,
    'etcd takes no certificate of another authority',
  );
  const got = etcdctl(`${asAgent}\netcdctl get understudy/shop/try`);
  assert.deepEqual([got.status, got.stdout], [0, ''], got.stderr);
  // Agents of a user of their own keep their keys from the server's; here those of root.
  if (process.getuid?.() !== 0) return;
  const { ca, password } = await login();
  const client = new pg.Client({
    host: `${network}1`,
    port: 5432,
    user: 'postgres',
    password,
    database: 'postgres',
    ssl: { ca },
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    for (const secret of ['api.key', 'etcd-client.key', 'etcd.pass', 'secrets.json']) {
      await assert.rejects(
        client.query('select pg_read_file($1)', [join(root, 'pki', 'n1', secret)]),
        { code: '42501' },
        secret,
      );
    }
  } finally {
    await client.end();
  }
});

test('HAProxy, as the page configures it, follows the primary through a switchover', async () => {
  const haproxy = await findHaproxy();
  const file = join(root, 'haproxy.cfg');
  await writeFile(file, block('listen primary').replaceAll('127.0.0.1:500', `${network}9:500`));
  start(haproxy.program, ['-db', '-f', file], { ...haproxy.env });
  const first = await eventually('the primary behind HAProxy', () => addressBehind(5000), 30_000);
  const ran = await understudy('switchover');
  assert.equal(ran.code, 0, ran.stderr);
  await eventually('another primary behind HAProxy', async () => {
    const now = await addressBehind(5000);
    return now === null || now === first ? null : now;
  });
  // HAProxy learns of either role at its next check, so for a moment the old replica is still behind the second port.
  await eventually('only replicas behind the second port', async () => {
    const [primary, replica] = [await addressBehind(5000), await addressBehind(5001)];
    return primary !== null && replica !== null && replica !== primary ? replica : null;
  });
});

/** Runs lines of a shell beside the passwords of the page, with the page's environment for etcd's command. */
function etcdctl(lines: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const exports = block('endpoint health')
    .split('\n')
    .filter((line) => line.startsWith('export '));
  const own = lines.split('\n').filter((line) => !line.startsWith('systemctl '));
  const script = [`etcdctl() { "${command.program}" "$@"; }`, ...exports, ...own].join('\n');
  return spawnSync('sh', ['-euc', script], {
    cwd: join(root, 'pki'),
    env: cleanEnvironment(command.env),
    encoding: 'utf8',
    timeout: 30_000,
  });
}

async function login(): Promise<{ readonly ca: string; readonly password: string }> {
  const ca = await readFile(join(root, 'pki', 'n1', 'database-ca.pem'), 'utf8');
  return { ca, password: JSON.parse(await readFile(join(root, 'pki', 'secrets.json'), 'utf8')).superuser };
}

/** Which server answers through HAProxy; null when none does. */
async function addressBehind(port: number): Promise<string | null> {
  const { ca, password } = await login();
  // The certificate names the servers, not HAProxy.
  const ssl = { ca, checkServerIdentity: () => undefined };
  const client = new pg.Client({
    host: `${network}9`,
    port,
    user: 'postgres',
    password,
    database: 'postgres',
    ssl,
    connectionTimeoutMillis: 2000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ address: string }>('select host(inet_server_addr()) as address');
    return rows[0]?.address ?? null;
  } catch {
    return null;
  } finally {
    await client.end().catch(() => undefined);
  }
}
