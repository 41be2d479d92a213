import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPostgres, type PostgresServer, reachablePostgres, serverUser } from '@understudy/servers';
import pg from 'pg';

const DEADLINE_MS = 60_000;

/** One PostgreSQL server on loopback, that can be stopped in order and started again as a hot standby of nobody. */
export class TestServer {
  readonly #server: PostgresServer;
  readonly #root: string;
  readonly #port: number;
  #process: ChildProcess | null = null;
  #log = '';

  private constructor(server: PostgresServer, root: string, port: number) {
    this.#server = server;
    this.#root = root;
    this.#port = port;
  }

  /** @throws ServersError when there is no PostgreSQL on this machine. */
  static async make(): Promise<TestServer> {
    const user = serverUser();
    const server = await reachablePostgres(await findPostgres(), user);
    const root = await mkdtemp(join(tmpdir(), 'us-routing-'));
    if (user !== null) await chown(root, user.uid, user.gid);
    const made = new TestServer(server, root, await freePort());
    await made.#run(server.tools.initdb, [
      '-D',
      made.#data,
      '-U',
      'postgres',
      '-A',
      'trust',
      '--no-sync',
      '--no-instructions',
    ]);
    return made;
  }

  get #data(): string {
    return join(this.#root, 'data');
  }

  async start(): Promise<void> {
    const settings = {
      listen_addresses: '127.0.0.1',
      port: this.#port,
      unix_socket_directories: '',
      fsync: 'off',
      shared_buffers: '16MB',
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    this.#process = this.#spawn(this.#server.tools.postgres, ['-D', this.#data, ...args]);
    const deadlineMs = performance.now() + DEADLINE_MS;
    for (;;) {
      const client = await this.connect().catch(() => null);
      if (client !== null) return client.end();
      if (performance.now() > deadlineMs || this.#process.exitCode !== null)
        throw new Error(`It did not start: ${this.#log}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async becomeStandby(): Promise<void> {
    await this.stop();
    await writeFile(join(this.#data, 'standby.signal'), '');
    await this.start();
  }

  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = null;
    if (running === null || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGINT');
    await ended;
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.#root, { recursive: true, force: true });
  }

  async connect(): Promise<pg.Client> {
    const client = new pg.Client({ host: '127.0.0.1', port: this.#port, user: 'postgres', database: 'postgres' });
    // Its end is seen by the statement that it interrupts.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  #spawn(program: string, args: readonly string[]): ChildProcess {
    const user = serverUser();
    const ids = user === null ? {} : { uid: user.uid, gid: user.gid };
    const child = spawn(program, args, {
      ...ids,
      cwd: this.#root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: this.#root, LC_ALL: 'C' },
    });
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk) => (this.#log = `${this.#log}${chunk}`.slice(-4000)));
    return child;
  }

  async #run(program: string, args: readonly string[]): Promise<void> {
    const child = this.#spawn(program, args);
    const code = await new Promise((resolve, reject) => child.once('error', reject).once('exit', resolve));
    if (code !== 0) throw new Error(`${program} ended with ${code}: ${this.#log}`);
  }
}

/** Not one of the ports that the system gives to outgoing connections: one of these could take it while the server restarts. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000);
    if (await canListen(port)) return port;
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
