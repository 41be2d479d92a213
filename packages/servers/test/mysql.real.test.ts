// Goal: every MySQL and MariaDB that is fetched here really makes a database and answers, as the user that a server would run as.
// Method: initialise, start, ask over its socket with the client that came with it, stop. As root this includes a copy of the programs.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureMysql, getServer, type MysqlServer, reachableMysql, serverUser } from '../src/index.ts';
import { run, tailOf } from '../src/run.ts';

let folder = '';
const user = serverUser();
const asUser = user === null ? {} : { user };
const startTimeoutMs = 60_000;
/** Debian's MySQL names a folder that need not exist; MariaDB does not know the word NULL there. */
const secureFiles = ['--secure-file-priv=NULL'];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'my-'));
  await chmod(folder, 0o755);
});

after(() => rm(folder, { recursive: true, force: true }));

async function newFolder(name: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(path, { mode: 0o700 });
  if (user !== null) await chown(path, user.uid, user.gid);
  return path;
}

async function initialise({ tools, baseDir }: MysqlServer, home: string, data: string): Promise<void> {
  const common = ['--no-defaults', `--basedir=${baseDir}`, `--datadir=${data}`];
  const [program, args] =
    tools.installDb === null
      ? [tools.server, [...common, '--initialize-insecure', ...secureFiles]]
      : [tools.installDb, [...common, '--skip-test-db', '--auth-root-authentication-method=normal']];
  const result = await run(program, args, { ...asUser, env: { HOME: home }, cwd: home, timeoutMs: 120_000 });
  assert.equal(result.code, 0, tailOf(result));
}

function start({ tools, baseDir }: MysqlServer, home: string, data: string): ChildProcess {
  const args = [
    '--no-defaults',
    `--basedir=${baseDir}`,
    `--datadir=${data}`,
    `--socket=${join(home, 's')}`,
    `--pid-file=${join(home, 'pid')}`,
    ...(tools.installDb === null ? secureFiles : []),
    '--skip-networking',
    '--performance-schema=OFF',
    '--innodb-flush-log-at-trx-commit=0',
  ];
  const identity = user === null ? {} : { uid: user.uid, gid: user.gid };
  const env = { ...process.env, HOME: home };
  return spawn(tools.server, args, { cwd: home, env, stdio: 'ignore', ...identity });
}

async function askUntilUp({ tools }: MysqlServer, home: string, query: string): Promise<string> {
  assert.ok(tools.client);
  const deadlineMs = performance.now() + startTimeoutMs;
  const args = ['--no-defaults', `--socket=${join(home, 's')}`, '--user=root', '--skip-column-names', '-e', query];
  for (;;) {
    const result = await run(tools.client, args, { ...asUser, env: { HOME: home }, timeoutMs: 10_000 });
    if (result.code === 0) return result.stdout.trim();
    assert.ok(performance.now() < deadlineMs, tailOf(result));
    await delay(100);
  }
}

async function proveThatItWorks(server: MysqlServer, name: string): Promise<void> {
  const home = await newFolder(name);
  const data = join(home, 'data');
  await initialise(server, home, data);
  const child = start(server, home, data);
  const ended = once(child, 'exit');
  try {
    assert.equal(await askUntilUp(server, home, 'SELECT 40 + 2'), '42');
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

const wanted = [
  ['mysql', '9.7'],
  ['mariadb', '10.11'],
  ['mariadb', '11.8'],
] as const;

for (const [flavour, version] of wanted) {
  test(`${flavour} ${version}: initialise, start, SELECT, stop`, async () => {
    await getServer(`${flavour}-${version}`);
    const server = await ensureMysql({ flavour, version, origins: ['cache'] });
    assert.equal(server.series, version);
    await proveThatItWorks(await reachableMysql(server, user), `${flavour}-${version}`);
  });
}

test('programs below a folder that the server user cannot enter are copied, and work', {
  skip: user === null,
}, async (t) => {
  const closed = join(folder, 'closed');
  await mkdir(closed, { mode: 0o700 });
  const { folder: original } = await getServer('mariadb-11.8');
  await cp(original, join(closed, 'mariadb-11.8'), { recursive: true, verbatimSymlinks: true });
  const kept = process.env.UNDERSTUDY_CACHE;
  t.after(() => {
    if (kept === undefined) delete process.env.UNDERSTUDY_CACHE;
    else process.env.UNDERSTUDY_CACHE = kept;
  });
  process.env.UNDERSTUDY_CACHE = closed;
  const server = await ensureMysql({ flavour: 'mariadb', version: '11.8', origins: ['cache'] });
  assert.equal(server.baseDir, join(closed, 'mariadb-11.8', 'usr'));
  const reachable = await reachableMysql(server, user);
  const copy = /^\/var\/tmp\/understudy-bin-[0-9a-f]{16}(?=\/usr\/sbin$)/.exec(reachable.binDir)?.[0];
  assert.ok(copy, reachable.binDir);
  t.after(() => rm(copy, { recursive: true, force: true }));
  assert.equal(reachable.tools.backup, join(copy, 'usr', 'bin', 'mariadb-backup'));
  const { backup } = reachable.tools;
  assert.ok(backup);
  const result = await run(backup, ['--version'], { ...asUser, timeoutMs: 20_000 });
  assert.equal(result.code, 0, tailOf(result));
});

test('without another user, an installation is used where it is', async () => {
  const server = await ensureMysql({ flavour: 'mariadb', version: '11.8' });
  assert.equal(await reachableMysql(server, null), server);
});
