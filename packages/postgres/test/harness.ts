import { randomInt } from 'node:crypto';
import { chown, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { memberId } from '@understudy/core';
import type { Engine } from '@understudy/engine';
import type {
  ConformanceClient,
  ConformanceCluster,
  ConformanceHarness,
  ConformanceNode,
  Damage,
  WriteOutcome,
} from '@understudy/engine/conformance';
import { findPostgres, type PostgresServer, reachablePostgres, serverUser } from '@understudy/servers';
import pg from 'pg';
import { createPostgresEngine, type PostgresEngineInput } from '../src/index.ts';
import { postgresProcesses as serverProcesses } from '../src/process/server-process.ts';

export const testSecrets = {
  superuser: 'superuser of the tests',
  replication: 'replication: of \\ the tests',
  rewind: 'rewind: of the tests',
  monitor: 'monitor of the tests',
};

/** Servers of these tests: each wanted major version that is on this machine. */
export async function serversOf(majors: readonly number[]): Promise<readonly PostgresServer[]> {
  const found: PostgresServer[] = [];
  for (const major of majors) {
    const server = await findPostgres({ version: String(major) }).catch(() => null);
    if (server !== null) found.push(await reachablePostgres(server, serverUser()));
  }
  return found;
}

const given = new Set<number>();

/**
 * A TCP port that nobody listens on. Not one of those that the system gives to outgoing connections (from 32768 on): one of these could
 * take it while the server is down.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000);
    if (given.has(port)) continue;
    given.add(port);
    if (await canListen(port)) return port;
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** A folder that the server's user owns; removed at the end of `t`, if given. */
export async function makeRoot(t?: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'us-pg-'));
  t?.after(() => rm(root, { recursive: true, force: true }));
  const user = serverUser();
  if (user !== null) await chown(root, user.uid, user.gid);
  return root;
}

/** A folder that nobody but this process can change, for what the agent of a test is to trust; removed at the end of `t`. */
export async function makeOwnFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'us-own-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Engine options for a member below `root`, quick and small. */
export function engineInput(server: PostgresServer, root: string, member: string, port: number): PostgresEngineInput {
  const user = serverUser();
  return {
    cluster: 'conformance',
    member,
    dataDir: join(root, member),
    runDir: join(root, `${member}.run`),
    listen: { host: '127.0.0.1', port },
    binaries: {
      binDir: server.binDir,
      ...(server.tools.pgRewind === null ? {} : { pgRewind: server.tools.pgRewind }),
    },
    runAs: user === null ? null : { uid: user.uid, gid: user.gid },
    secrets: testSecrets,
    parameters: { shared_buffers: '16MB' },
    initdbArgs: ['--no-sync'],
    stopTimeoutMs: 20_000,
  };
}

class TestClient implements ConformanceClient {
  readonly #client: pg.Client;
  #warned = false;

  constructor(client: pg.Client) {
    this.#client = client;
    client.on('notice', () => {
      // 01000 after a broken-off wait for replicas: durable here, acknowledged by nobody.
      this.#warned = true;
    });
  }

  async write(value: number, timeoutMs = 5000): Promise<WriteOutcome> {
    this.#warned = false;
    const insert = this.#client.query(`insert into conformance values (${value})`).then(
      (): WriteOutcome => (this.#warned ? 'unknown' : 'acknowledged'),
      (error: unknown): WriteOutcome => outcomeOf(error),
    );
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<WriteOutcome>((resolve) => {
      timer = setTimeout(() => resolve('unknown'), timeoutMs);
    });
    return Promise.race([insert, late]).finally(() => clearTimeout(timer));
  }

  async read(): Promise<readonly number[]> {
    const { rows } = await this.#client.query<{ value: string }>('select value from conformance order by value');
    return rows.map((row) => Number(row.value));
  }

  async close(): Promise<void> {
    this.#client.connection.stream.destroy();
    await this.#client.end().catch(() => undefined);
  }
}

function outcomeOf(error: unknown): WriteOutcome {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  // Read-only server, missing table: certainly not written.
  return ['25006', '42P01'].includes(code) ? 'refused' : 'unknown';
}

/** A node of the harness, with the options of its engine. */
export class TestNode implements ConformanceNode {
  readonly id;
  readonly host = '127.0.0.1';
  readonly port: number;
  input: PostgresEngineInput;
  #engine: Engine;

  constructor(input: PostgresEngineInput, engine: Engine) {
    this.id = memberId(input.member);
    this.port = input.listen.port;
    this.input = input;
    this.#engine = engine;
  }

  engine(): Engine {
    return this.#engine;
  }

  async reopen(): Promise<Engine> {
    await this.#engine.close('leave-running');
    this.#engine = await createPostgresEngine(this.input);
    return this.#engine;
  }

  /** As `reopen`, with another program in the place of `pg_rewind`. */
  async reopenWith(pgRewind: string): Promise<void> {
    this.input = { ...this.input, binaries: { ...this.input.binaries, pgRewind } };
    await this.reopen();
  }

  async connect(): Promise<ConformanceClient> {
    const { host, port } = this;
    const client = new pg.Client({
      host,
      port,
      user: 'postgres',
      password: testSecrets.superuser,
      database: 'postgres',
    });
    client.on('error', () => undefined);
    await client.connect();
    return new TestClient(client);
  }

  async #mainProcess(): Promise<number> {
    return Number((await readFile(join(this.input.dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0]);
  }

  async kill(): Promise<void> {
    process.kill(await this.#mainProcess(), 'SIGKILL');
  }

  async freeze(): Promise<void> {
    process.kill(await this.#mainProcess(), 'SIGSTOP');
  }

  async damage(how: Damage): Promise<void> {
    const file = (...names: string[]): string => join(this.input.dataDir, ...names);
    if (how === 'other-version') return writeFile(file('PG_VERSION'), '12\n');
    if (how === 'not-a-database') return rm(file('PG_VERSION'));
    if (how === 'half-copied') return rm(file('global', 'pg_control'));
    if (how === 'control-data') {
      const bytes = await readFile(file('global', 'pg_control'));
      bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
      return writeFile(file('global', 'pg_control'), bytes);
    }
    const identity = await readFile(file('understudy.json'), 'utf8');
    return writeFile(file('understudy.json'), identity.replace('"conformance"', '"another"'));
  }

  async keptAside(): Promise<readonly string[]> {
    const names = await readdir(dirname(this.input.dataDir));
    return names.filter((name) => new RegExp(`^${basename(this.input.dataDir)}\\.(aside|fork)-`).test(name));
  }

  /** Ends whatever is left of the server, however the test left it. */
  async destroy(): Promise<void> {
    await this.#engine.close('leave-running').catch(() => undefined);
    for (const pid of await serverProcesses(this.input.dataDir)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone meanwhile, which is what was wanted.
      }
    }
  }
}

/** PostgreSQL of one version as the conformance suite wants it. */
export function postgresHarness(
  server: PostgresServer,
  more: Partial<PostgresEngineInput> | ((member: string) => Partial<PostgresEngineInput>) = {},
): ConformanceHarness {
  return {
    name: `PostgreSQL ${server.version} (${server.origin})`,
    damages: ['other-cluster', 'other-version', 'not-a-database', 'control-data', 'half-copied'],
    async makeCluster(count): Promise<ConformanceCluster> {
      const root = await makeRoot();
      const nodes: TestNode[] = [];
      for (let n = 1; n <= count; n++) {
        const input = {
          ...engineInput(server, root, `n${n}`, await freePort()),
          ...(typeof more === 'function' ? more(`n${n}`) : more),
        };
        nodes.push(new TestNode(input, await createPostgresEngine(input)));
      }
      return {
        nodes,
        async createTable(leader) {
          const { port } = leader;
          const { superuser: password } = testSecrets;
          const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password, database: 'postgres' });
          await client.connect();
          await client.query('create table conformance (value bigint primary key)');
          await client.end();
        },
        async destroy() {
          for (const node of nodes) await node.destroy();
          await rm(root, { recursive: true, force: true });
        },
      };
    },
  };
}
