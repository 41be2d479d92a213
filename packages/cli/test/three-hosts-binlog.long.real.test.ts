// Goal: the walkthroughs of docs/three-hosts-mysql.md and -mariadb.md work as they are written. Method: as for three-hosts.md, whose
// steps for certificates and etcd they use: the pages' own commands and files, with addresses of the loopback network as hosts.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { openSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findEtcd, findHaproxy, findMysql } from '@understudy/servers';
import mysql from 'mysql2/promise';
import { ownCommand } from '../src/invocation.ts';
import { cleanEnvironment, cli, type Ran } from './support/cli.ts';
import { eventually } from './support/eventually.ts';
import { scratchFolder } from './support/folders.ts';
import { type CodeBlock, codeBlocks } from './support/pages.ts';
import { processesIn } from './support/processes.ts';

const names = ['n1', 'n2', 'n3'] as const;
const [node = '', main = ''] = ownCommand;

for (const engine of ['mysql', 'mariadb'] as const) {
  describe(`docs/three-hosts-${engine}.md`, () => {
    /** A network that nobody else uses by chance: all of 127.0.0.0/8 is this machine. */
    const network = `127.${randomInt(1, 250)}.${randomInt(1, 250)}.`;
    const started: ChildProcess[] = [];
    let root = '';
    let remove: () => Promise<void> = async () => undefined;
    let blocks: readonly CodeBlock[] = [];
    let binDir = '';

    /** The text of the one block that contains `sign`, with this test's addresses and folders. */
    function block(sign: string, name = 'n1'): string {
      const found = blocks.filter(({ text }) => text.includes(sign));
      assert.equal(found.length, 1, `blocks with ${sign}`);
      const own = `${network}${name.slice(1)}`;
      return (found[0]?.text ?? '')
        .replace(/(listen|advertise|LISTEN|ADVERTISE)(.*)10\.0\.0\.1:/g, `$1$2${own}:`)
        .replaceAll('10.0.0.', network)
        .replaceAll(/member: n1|NAME=n1/g, (match) => match.replace('n1', name))
        .replace('serverId: 1 ', `serverId: ${name.slice(1)} `)
        .replaceAll('/etc/etcd/', join(root, 'pki', name, '/'))
        .replaceAll('/etc/understudy/', join(root, 'pki', name, '/'))
        .replaceAll('/var/lib/etcd/shop', join(root, name, 'etcd'))
        .replaceAll('/var/lib/understudy', join(root, name))
        .replaceAll('/run/understudy', join(root, name, 'run'))
        .replaceAll('binDir: /usr/sbin', `binDir: ${binDir}`)
        .replaceAll('innodb_buffer_pool_size: 4G', 'innodb_buffer_pool_size: 32M')
        .replaceAll("'10.%'", "'127.%'");
    }

    const start = (
      program: string,
      args: readonly string[],
      env: Readonly<Record<string, string>>,
      log?: string,
    ): void => {
      const output = log === undefined ? 'ignore' : openSync(log, 'a');
      started.push(spawn(program, args, { env: cleanEnvironment(env), stdio: ['ignore', output, output] }));
    };
    const logOf = (name: string): string => join(root, name, 'agent.log');
    const configOf = (name: string): string => join(root, 'pki', name, 'node.yaml');
    const understudy = (...args: readonly string[]): Promise<Ran> =>
      cli(args, { env: { UNDERSTUDY_CONFIG: configOf('n1') } });

    before(async () => {
      const scratch = await scratchFolder();
      ({ remove } = scratch);
      root = scratch.folder;
      // The pages send their reader to the first one for certificates and etcd.
      const shared = (await codeBlocks('docs/three-hosts.md')).filter(({ text }) =>
        /understudy cert ca|ETCD_NAME/.test(text),
      );
      blocks = [...(await codeBlocks(`docs/three-hosts-${engine}.md`)), ...shared];
      binDir = (await findMysql({ flavour: engine })).binDir;
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

    test('files and etcd of the first page suffice, and agent --check accepts them', async () => {
      const shell = `understudy() { '${node}' '${main}' "$@"; }\n`;
      const shorter = block('password() { head -c 16').trim();
      const script = `${shell}${block('understudy cert ca').replace(/^password\(\) .*$/m, () => shorter)}`;
      const ran = spawnSync('sh', ['-euc', script], { cwd: root, encoding: 'utf8', timeout: 120_000 });
      assert.equal(ran.status, 0, ran.stderr);
      await chmod(join(root, 'pki'), 0o755);
      for (const name of names) {
        await chmod(join(root, 'pki', name), 0o755);
        await mkdir(join(root, name), { mode: 0o755 });
        await writeFile(configOf(name), block('cluster: shop', name));
      }
      const etcd = await findEtcd();
      for (const name of names) {
        const lines = block('ETCD_NAME', name).trim().split('\n');
        const settings = lines.map((line) => line.split(/=(.*)/s).slice(0, 2));
        start(etcd.program, [], { ...etcd.env, ...Object.fromEntries(settings) });
      }
      // Users of etcd are tried with the first page; until it has some, it asks the agents for no password.
      await eventually('agent --check', async () => {
        const check = await cli(['agent', '--config', configOf('n3'), '--check']);
        return check.code === 0 && /store +.*the cluster is new/.test(check.stdout) ? true : null;
      });
    });

    test('three agents found a cluster in which nothing is lost', async () => {
      for (const name of names) start(node, [main, 'agent', '--config', configOf(name)], {}, logOf(name));
      await eventually(
        'a healthy cluster',
        async () => ((await understudy('status', '--check')).code === 0 ? true : null),
        180_000,
      ).catch(async (error: unknown) => {
        const logs = await Promise.all(names.map(async (name) => (await readFile(logOf(name), 'utf8')).slice(-1500)));
        assert.fail(`${String(error)}\n${logs.join('\n')}`);
      });
      assert.match((await understudy('status')).stdout, /RPO +zero \(proven\)/);
    });

    test("the page's first account works through its HAProxy, before and after a switchover", async () => {
      const { leader } = JSON.parse((await understudy('status', '--json')).stdout);
      const { superuser } = JSON.parse(await readFile(join(root, 'pki', 'secrets.json'), 'utf8'));
      const socketPath = /--socket=(\S+) --user=us_admin/.exec(block('--user=us_admin', leader))?.[1];
      assert.ok(socketPath !== undefined);
      const administrator = await mysql.createConnection({ socketPath, user: 'us_admin', password: superuser });
      for (const statement of block('create user app@').trim().split(';\n')) await administrator.query(statement);
      await administrator.end();

      const haproxy = await findHaproxy();
      const file = join(root, 'haproxy.cfg');
      const defaults = 'defaults\n  mode tcp\n  timeout connect 4s\n  timeout client 1m\n  timeout server 1m\n';
      await writeFile(file, defaults + block('listen primary').replaceAll('127.0.0.1:330', `${network}9:330`));
      start(haproxy.program, ['-db', '-f', file], { ...haproxy.env });

      const serverBehind = async (port: number): Promise<number | null> => {
        const ca = await readFile(join(root, 'pki', 'n1', 'database-ca.pem'), 'utf8');
        const login = { user: 'app', password: 'a password of your own', database: 'shop' };
        // The certificate names the servers, not HAProxy.
        const ssl = { ca, verifyIdentity: false };
        try {
          const client = await mysql.createConnection({
            host: `${network}9`,
            port,
            ...login,
            ssl,
            connectTimeout: 2000,
          });
          try {
            const [rows] = await client.query<mysql.RowDataPacket[]>('select @@read_only as closed, @@server_id as id');
            return rows[0]?.closed === (port === 3306 ? 0 : 1) ? Number(rows[0].id) : null;
          } finally {
            await client.end();
          }
        } catch {
          return null;
        }
      };
      const first = await eventually('the primary behind HAProxy', () => serverBehind(3306), 60_000);
      await eventually('a replica behind the second port', () => serverBehind(3307), 60_000);
      const ran = await understudy('switchover');
      assert.equal(ran.code, 0, ran.stderr);
      await eventually('another primary behind HAProxy', async () => {
        const now = await serverBehind(3306);
        return now === null || now === first ? null : now;
      });
    });
  });
}
