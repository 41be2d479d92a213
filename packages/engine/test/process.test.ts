// How the process of a server is started, found, watched and ended. Method: servers that do nothing but sleep in a folder, as every server works
// in its data directory.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, realpath, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { pollUntil } from '@understudy/base';
import { startTicksOf } from '@understudy/base/processes';
import { childrenOf, killProcessesWith, type ServerKind, ServerProcess, serverProcesses } from '../src/host/index.ts';
import { lastWords, logSizes } from '../src/host/process/server-log.ts';

const isServer: ServerKind['isServer'] = ({ name, args }) => name === 'sleep' || args.includes('a server of the tests');
const kind: ServerKind = { isServer, find: async (dataDir) => (await serverProcesses(dataDir, isServer))[0] ?? null };
const environment = { PATH: process.env.PATH ?? '/usr/bin:/bin' };
/** What a server does after it has said its words. */
const serves = (words: string, then = 'sleep 600'): readonly string[] => [
  '-c',
  `echo '${words}'; ${then}`,
  'a server of the tests',
];

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'us-process-')));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const withServer = (work: (server: ServerProcess, dataDir: string) => Promise<void>): Promise<void> =>
  inFolder(async (folder) => {
    const dataDir = join(folder, 'data');
    await mkdir(dataDir);
    const options = { kind, program: 'sh', environment, dataDir, logFile: join(folder, 'server.log'), owner: null };
    const server = new ServerProcess(options);
    try {
      await work(server, dataDir);
    } finally {
      await server.kill();
    }
  });

describe('a process of somebody else', () => {
  it('has ended when it is gone, and has another beginning when its number is another process by now', async (context) => {
    const child = spawn('sleep', ['600'], { stdio: 'ignore' });
    context.after(() => child.kill('SIGKILL'));
    const { pid } = child;
    assert.ok(pid !== undefined);
    assert.match(startTicksOf(pid) ?? '', /^\d+$/);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    assert.equal(startTicksOf(pid), null);
  });

  it('is ended by an argument that no other has, whatever its letters', async () => {
    const mark = `--target-dir=/tmp/größe-${process.pid}`;
    const child = spawn(process.execPath, ['-e', 'setTimeout(() => 0, 600_000)', '--', mark], { stdio: 'ignore' });
    const exited = once(child, 'exit');
    await once(child, 'spawn');
    await killProcessesWith(mark);
    assert.equal((await exited)[1], 'SIGKILL');
  });
});

describe('the process of a server', () => {
  it('is started once nothing of an earlier one is left, and ends with all its children', () =>
    withServer(async (server, dataDir) => {
      const first = await server.start(serves('first', 'sleep 600 & sleep 600; :'));
      assert.equal(server.running, first);
      assert.equal(first.origin, 'started');
      const steps: string[] = [];
      server.onExit(() => steps.push('exit'));
      const second = await server.start(serves('second'), async () => {
        assert.deepEqual(await serverProcesses(dataDir, isServer), [], 'while it is prepared');
        steps.push('prepared');
      });
      assert.notEqual(second.pid, first.pid);
      assert.ok(steps.includes('prepared'));
      await server.kill();
      assert.equal(server.running, null);
      // The kernel's word for it comes after the process is gone.
      const lastExit = await pollUntil(() => server.lastExit, { everyMs: 1, timeoutMs: 10_000 });
      assert.equal(lastExit, 'signal SIGKILL');
      assert.deepEqual(await childrenOf(second.pid), []);
    }));

  it('is found and watched when somebody else has started it', () =>
    withServer(async (server, dataDir) => {
      assert.equal(await server.adopt(), null);
      const other = spawn('sleep', ['600'], { cwd: dataDir, stdio: 'ignore' });
      await once(other, 'spawn');
      const running = await server.adopt();
      assert.equal(running?.pid, other.pid);
      assert.equal(running?.origin, 'adopted');
      assert.equal(server.check(), 'running');
      const noticed = new Promise<void>((resolve) => server.onExit(resolve));
      other.kill('SIGKILL');
      await noticed;
      assert.equal(server.running, null);
      assert.throws(() => server.signal('SIGHUP'), { code: 'ENGINE_UNREACHABLE' });
      server.terminate('SIGTERM');
    }));

  it('that is killed while it is started does not run afterwards', () =>
    withServer(async (server, dataDir) => {
      const started = server.start(serves('late'), () => server.kill());
      await assert.rejects(started, { code: 'ENGINE_START_FAILED' });
      assert.deepEqual(await serverProcesses(dataDir, isServer), []);
      // At any moment of a start.
      for (let rounds = 0; rounds < 30; rounds++) {
        const start = server.start(serves('soon')).then(
          () => 'started',
          () => 'refused',
        );
        for (let turns = 0; turns < rounds; turns++) await turnOfLoop();
        await server.kill();
        await start;
        assert.equal(server.running, null);
        assert.deepEqual(await serverProcesses(dataDir, isServer), [], `after ${rounds} turns`);
      }
      await server.start(serves('again'));
      assert.equal(server.check(), 'running', 'the next start is its own');
    }));

  it('cannot be run without its program', () =>
    inFolder(async (folder) => {
      const options = { kind, program: join(folder, 'nosuch'), environment, dataDir: folder, owner: null };
      const server = new ServerProcess({ ...options, logFile: join(folder, 'server.log') });
      await assert.rejects(server.start([]), { code: 'ENGINE_BINARY_MISSING' });
      assert.equal(server.running, null);
    }));

  it('says why it ended in its own words, and nothing of what an earlier one said', () =>
    withServer(async (server) => {
      for (const words of ['disk full', 'wrong option']) {
        await server.start(serves(words, 'exit 3'));
        assert.equal(await server.waitForExit(5000), 'gone');
        assert.equal(await server.lastWords(4000), `${words}\n`);
        assert.equal(await server.firstWords(), `${words}\n`);
        assert.equal(server.lastExit, 'exit code 3');
      }
    }));
});

describe("a server's last words", () => {
  it('are those since its start, in the file that it wrote last', () =>
    inFolder(async (folder) => {
      const [log, collected] = [join(folder, 'postgres.log'), join(folder, 'all.csv')];
      const files = [log, collected].map((path) => ({ path, by: null }));
      await writeFile(log, 'PANIC:  of an earlier start\n');
      await writeFile(collected, 'PANIC:  of an earlier start too\n');
      const sizes = await logSizes(files);
      const words = () => lastWords(files, sizes, 4000);
      await writeFile(log, 'FATAL:  of this one\n', { flag: 'a' });
      const later = new Date(Date.now() + 60_000);
      await utimes(collected, later, later);
      assert.equal(await words(), 'FATAL:  of this one\n');
      await writeFile(collected, 'FATAL:  said there\n', { flag: 'a' });
      await utimes(collected, later, later);
      assert.equal(await words(), 'FATAL:  said there\n');
      await writeFile(collected, 'anew\n');
      await utimes(collected, later, later);
      assert.equal(await words(), 'anew\n', 'it was emptied');
    }));
});
