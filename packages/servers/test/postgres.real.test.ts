// Goal: every PostgreSQL that can be had here really makes a database and answers. Method: initdb and start it as the user
// that a server would run as, ask over its socket, stop it. As root this includes binaries below a folder that user cannot enter.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, cp, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  ensurePostgres,
  type FindPostgresOptions,
  findPostgres,
  getServer,
  makeReachable,
  type PostgresServer,
  reachablePostgres,
  serverUser,
} from '../src/index.ts';
import { run, tailOf } from '../src/run.ts';

let folder = '';
const user = serverUser();
const asUser = user === null ? {} : { user };
const startTimeoutMs = 30_000;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pg-'));
  await chmod(folder, 0o755);
});

after(() => rm(folder, { recursive: true, force: true }));

async function newFolder(name: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(path, { mode: 0o700 });
  if (user !== null) await chown(path, user.uid, user.gid);
  return path;
}

async function initialise(server: PostgresServer, data: string): Promise<void> {
  const args = ['-D', data, '-U', 'tester', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
  const result = await run(server.tools.initdb, args, { ...asUser, env: { HOME: data }, timeoutMs: 60_000 });
  assert.equal(result.code, 0, tailOf(result));
}

/** Starts a server that listens on a socket in its data folder only. */
function start(server: PostgresServer, data: string): ChildProcess {
  const args = ['-D', data, '-k', data, '-c', 'listen_addresses=', '-c', 'fsync=off'];
  const identity = user === null ? {} : { uid: user.uid, gid: user.gid };
  return spawn(server.tools.postgres, args, {
    cwd: data,
    env: { ...process.env, HOME: data },
    stdio: 'ignore',
    ...identity,
  });
}

/** One simple query in PostgreSQL's protocol, version 3, without a driver: the bytes of the first column of the first row. */
async function ask(socketPath: string, query: string): Promise<string> {
  const socket = connect(socketPath);
  const received: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  await once(socket, 'connect');
  const startup = Buffer.from('\0\0\0\0\0\x03\0\0user\0tester\0database\0postgres\0\0', 'latin1');
  startup.writeInt32BE(startup.length, 0);
  const text = Buffer.from(`${query}\0`);
  const head = Buffer.from('Q\0\0\0\0', 'latin1');
  head.writeInt32BE(text.length + 4, 1);
  socket.write(Buffer.concat([startup, head, text]));
  // Terminate: the server closes the connection after it has answered.
  socket.write(Buffer.from([0x58, 0, 0, 0, 4]));
  await once(socket, 'close');
  return firstColumn(Buffer.concat(received));
}

function firstColumn(bytes: Buffer): string {
  for (let at = 0; at + 5 <= bytes.length; ) {
    const sizeBytes = bytes.readInt32BE(at + 1);
    if (bytes[at] === 0x44) return bytes.subarray(at + 11, at + 11 + bytes.readInt32BE(at + 7)).toString('utf8');
    at += 1 + sizeBytes;
  }
  throw new Error(`no row in the answer: ${bytes.toString('latin1')}`);
}

async function askUntilUp(socketPath: string, query: string): Promise<string> {
  const deadlineMs = performance.now() + startTimeoutMs;
  for (;;) {
    try {
      return await ask(socketPath, query);
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await delay(50);
    }
  }
}

async function proveThatItWorks(server: PostgresServer, name: string): Promise<void> {
  const data = await newFolder(name);
  await initialise(server, data);
  const child = start(server, data);
  const ended = once(child, 'exit');
  try {
    assert.equal(await askUntilUp(join(data, '.s.PGSQL.5432'), 'SELECT 40 + 2'), '42');
  } finally {
    child.kill('SIGINT');
    await ended;
  }
}

const wanted: readonly (readonly [string, FindPostgresOptions])[] = [
  ['the one that npm brought', {}],
  ['15', { version: '15', origins: ['cache'] }],
  ['18', { version: '18' }],
];

for (const [name, options] of wanted) {
  test(`PostgreSQL ${name}: initdb, start, SELECT, stop`, async () => {
    const server = await ensurePostgres(options);
    assert.equal(server.major, Number(options.version ?? 17));
    await proveThatItWorks(await reachablePostgres(server, user), `data-${server.major}`);
  });
}

test('binaries below a folder that the server user cannot enter are copied, and work', {
  skip: user === null,
}, async (t) => {
  const closed = join(folder, 'closed');
  await mkdir(closed, { mode: 0o700 });
  const original = await ensurePostgres();
  const native = join(closed, 'native');
  await cp(dirname(original.binDir), native, { recursive: true, verbatimSymlinks: true });
  const server = await ensurePostgres({ binDir: join(native, 'bin') });
  const reachable = await reachablePostgres(server, user);
  t.after(() => rm(dirname(reachable.binDir), { recursive: true, force: true }));
  assert.match(reachable.binDir, /^\/var\/tmp\/understudy-bin-[0-9a-f]{16}\/bin$/);
  assert.equal((await stat(dirname(reachable.binDir))).mode & 0o777, 0o755);
  assert.equal(reachable.tools.initdb, join(reachable.binDir, 'initdb'));
  await proveThatItWorks(reachable, 'data-copied');

  await t.test('the copy is made once, also when many ask', async () => {
    const uid = user?.uid ?? 0;
    await rm(dirname(reachable.binDir), { recursive: true });
    const copies = await Promise.all([1, 2, 3].map(() => makeReachable(server.binDir, uid)));
    assert.deepEqual(new Set(copies), new Set([reachable.binDir]));
    const first = await stat(reachable.binDir);
    assert.equal(await makeReachable(server.binDir, uid), reachable.binDir);
    assert.equal((await stat(reachable.binDir)).ino, first.ino);
  });

  await t.test('a folder of that name that is not root’s own is not trusted', async () => {
    await chown(dirname(reachable.binDir), user?.uid ?? 0, user?.gid ?? 0);
    await assert.rejects(makeReachable(server.binDir, user?.uid ?? 0), { code: 'UNREACHABLE', message: /not trusted/ });
  });
});

test('tools that were fetched run with their own libraries, also from a copy', async () => {
  await getServer('pg-tools-17');
  const server = await reachablePostgres(await findPostgres({ version: '17' }), user);
  const { pgRewind, pgBasebackup, pgControldata } = server.tools;
  for (const program of [pgRewind, pgBasebackup, pgControldata]) {
    assert.ok(program);
    const result = await run(program, ['--version'], { ...asUser, timeoutMs: 20_000 });
    assert.match(result.stdout, /\(PostgreSQL\) 17\./, tailOf(result));
  }
});

test('without another user, an installation is used where it is', async () => {
  const server = await ensurePostgres({ version: '15' });
  assert.equal(await reachablePostgres(server, null), server);
});
