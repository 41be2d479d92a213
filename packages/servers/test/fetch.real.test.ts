// Goal: fetching works on this machine, once for many processes, and leaves nothing half-made behind.
// Method: an empty cache folder, the real registry and archive, real programs.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findEtcd, findHaproxy, getServer, serverUser } from '../src/index.ts';
import { run, tailOf } from '../src/run.ts';

const execute = promisify(execFile);
const cli = fileURLToPath(new URL('../src/main.ts', import.meta.url));
let folder = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fetch-'));
  await chmod(folder, 0o755);
});

after(() => rm(folder, { recursive: true, force: true }));

for (const version of ['3.4', '3.5']) {
  test(`etcd ${version} runs`, async () => {
    await getServer(`etcd-${version}`);
    const found = await findEtcd({ version });
    const { stdout } = await execute(found.program, ['--version']);
    assert.match(stdout, new RegExp(`etcd Version: ${version.replace('.', '\\.')}\\.\\d+`));
    assert.ok(found.version.startsWith(`${version}.`));
  });
}

test('HAProxy runs with the libraries that were fetched beside it', async () => {
  await getServer('haproxy');
  const { program, env } = await findHaproxy();
  const config = join(folder, 'haproxy.cfg');
  await writeFile(
    config,
    `defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nlisten x\n  bind unix@${join(folder, 'haproxy.sock')}\n`,
  );
  const result = await run(program, ['-c', '-f', config], { env, timeoutMs: 20_000 });
  assert.equal(result.code, 0, tailOf(result));
});

test('three processes ask for one server at once: each gets it, nothing else is left in the cache', async () => {
  const cache = join(folder, 'together');
  const env = { ...process.env, UNDERSTUDY_CACHE: cache };
  const asked = [1, 2, 3].map(() => execute(process.execPath, [cli, 'get', 'etcd-3.4', '--json'], { env }));
  for (const { stdout } of await Promise.all(asked)) assert.match(stdout, /"version": "3\.4\./);
  assert.deepEqual((await readdir(cache)).toSorted(), ['.etcd-3.4.lock', 'etcd-3.4']);
  const { stdout } = await execute(process.execPath, [cli, 'where', 'etcd-3.4'], { env });
  assert.equal(stdout.trim(), join(cache, 'etcd-3.4'));
});

test('an ordinary user with an unwritable home fetches as well', { skip: process.getuid?.() !== 0 }, async (t) => {
  const user = serverUser();
  assert.ok(user);
  const canEnter = await run('/bin/sh', ['-c', 'test -r "$1"', 'sh', cli], { user, timeoutMs: 10_000 });
  if (canEnter.code !== 0) return t.skip(`${user.name} cannot enter this checkout`);
  const cache = join(folder, 'ordinary');
  await mkdir(cache, { mode: 0o700 });
  await chown(cache, user.uid, user.gid);
  const env = { UNDERSTUDY_CACHE: cache, HOME: '/nonexistent' };
  for (const name of ['etcd-3.4', 'postgres-16']) {
    const result = await run(process.execPath, [cli, 'get', name], { env, user, timeoutMs: 300_000 });
    assert.equal(result.code, 0, tailOf(result));
  }
});

test('an archive that cannot be read is a clear error, and nothing is left', async () => {
  const cache = join(folder, 'offline');
  const proxy = 'http://127.0.0.1:9/';
  const env = { UNDERSTUDY_CACHE: cache, http_proxy: proxy, https_proxy: proxy, npm_config_fetch_retries: '0' };
  for (const [name, message] of [
    ['postgres-16', /npm could not download .*npm ping/],
    ['etcd-3.4', /apt could not read the index .*apt-get update/],
  ] as const) {
    const result = await run(process.execPath, [cli, 'get', name], {
      env: { ...env, npm_config_cache: join(folder, 'npm') },
      timeoutMs: 300_000,
    });
    assert.equal(result.code, 1);
    assert.match(result.stderr, /FETCH_FAILED/);
    assert.match(result.stderr, message);
  }
  assert.deepEqual(
    (await readdir(cache)).filter((name) => !name.endsWith('.lock')),
    [],
  );
});

test('unknown names and wrong usage say what is known', async () => {
  await assert.rejects(getServer('oracle'), { code: 'SERVER_UNKNOWN', message: /Known are: postgres-15/ });
  const wrong = await run(process.execPath, [cli, 'fetch'], { timeoutMs: 20_000 });
  assert.equal(wrong.code, 2);
  const option = await run(process.execPath, [cli, 'list', '--nonsense'], { timeoutMs: 20_000 });
  assert.equal(option.code, 2);
  assert.match(option.stderr, /--nonsense/);
});
