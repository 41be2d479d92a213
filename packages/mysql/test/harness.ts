import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { chown, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { memberId } from '@understudy/core';
import { type Engine, EngineError, type OpenCopy } from '@understudy/engine';
import type {
  ConformanceClient,
  ConformanceCluster,
  ConformanceHarness,
  ConformanceNode,
  Damage,
  WriteOutcome,
} from '@understudy/engine/conformance';
import { type MysqlServer, serverUser } from '@understudy/servers';
import mysql from 'mysql2/promise';
import { createMysqlEngine, type MysqlEngineInput } from '../src/index.ts';
import { accounts } from '../src/names.ts';
import { mysqlProcesses as serverProcesses } from '../src/process/server-process.ts';

export const testSecrets = {
  admin: "admin's \\ of the tests",
  replication: "replica's of the tests",
  clone: "clone's of the tests",
  monitor: 'monitor of the tests',
};

const application = { user: 'conformance', password: 'application of tests' };

const given = new Set<number>();

/** A TCP port that nobody listens on, and that the system does not give to outgoing connections (those are from 32768 on). */
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

/** A folder that the servers' user owns. */
export async function makeRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'us-my-'));
  const user = serverUser();
  if (user !== null) await chown(root, user.uid, user.gid);
  return root;
}

/** A folder that nobody but this process can change, for what the agent of a test is to trust. */
export const makeOwnFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'us-own-'));

let templates: string | null = null;

/** One folder of templates for all tests of this process. */
async function templateFolder(): Promise<string> {
  if (templates !== null) return templates;
  const folder = await makeRoot();
  templates = folder;
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Engine options for member number `number` below `root`. */
export async function engineInput(server: MysqlServer, root: string, number: number): Promise<MysqlEngineInput> {
  const user = serverUser();
  const member = `n${number}`;
  return {
    cluster: 'conformance',
    member,
    serverId: number,
    dataDir: join(root, member),
    runDir: join(root, `${member}.run`),
    cacheDir: await templateFolder(),
    listen: { host: '127.0.0.1', port: await freePort() },
    binaries: { baseDir: server.baseDir, server: server.tools.server },
    runAs: user === null ? null : { uid: user.uid, gid: user.gid },
    secrets: testSecrets,
    stopTimeoutMs: 20_000,
  };
}

class TestClient implements ConformanceClient {
  readonly #connection: mysql.Connection;

  constructor(connection: mysql.Connection) {
    this.#connection = connection;
  }

  async write(value: number, timeoutMs = 5000): Promise<WriteOutcome> {
    const insert = this.#connection.query('insert into conformance.numbers values (?)', [value]).then(
      (): WriteOutcome => 'acknowledged',
      (error: unknown): WriteOutcome => outcomeOf(error),
    );
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<WriteOutcome>((resolve) => {
      timer = setTimeout(() => resolve('unknown'), timeoutMs);
    });
    return Promise.race([insert, late]).finally(() => clearTimeout(timer));
  }

  async read(): Promise<readonly number[]> {
    const [rows] = await this.#connection.query<mysql.RowDataPacket[]>(
      'select value from conformance.numbers order by value',
    );
    return rows.map((row) => Number(row.value));
  }

  async close(): Promise<void> {
    this.#connection.destroy();
  }
}

/** What an application has when the server does not know its account yet. */
const stranger: ConformanceClient = {
  write: async () => 'refused',
  read: async () => [],
  close: async () => undefined,
};

/** Read-only server, missing table: certainly not written. */
const refusals = new Set(['ER_OPTION_PREVENTS_STATEMENT', 'ER_READ_ONLY_MODE', 'ER_NO_SUCH_TABLE']);

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

const outcomeOf = (error: unknown): WriteOutcome => (refusals.has(codeOf(error)) ? 'refused' : 'unknown');

/** A node of the harness, with the options of its engine. */
export class TestNode implements ConformanceNode {
  readonly id;
  readonly host = '127.0.0.1';
  readonly port: number;
  input: MysqlEngineInput;
  #engine: Engine;

  constructor(input: MysqlEngineInput, engine: Engine) {
    this.id = memberId(input.member);
    this.port = input.listen.port;
    this.input = input;
    this.#engine = engine;
  }

  engine(): Engine {
    return this.#engine;
  }

  /** Also with other options, as after a change of the node's configuration. */
  async reopen(change: Partial<MysqlEngineInput> = {}): Promise<Engine> {
    await this.#engine.close('leave-running');
    this.input = { ...this.input, ...change };
    this.#engine = await createMysqlEngine(this.input);
    return this.#engine;
  }

  async connect(): Promise<ConformanceClient> {
    const { host, port } = this;
    try {
      const connection = await mysql.createConnection({ host, port, ...application });
      connection.on('error', () => undefined);
      return new TestClient(connection);
    } catch (error) {
      if (['ER_ACCESS_DENIED_ERROR', 'ER_HOST_NOT_PRIVILEGED'].includes(codeOf(error))) return stranger;
      throw error;
    }
  }

  /** Runs statements as the agent's own account. */
  async sql(statements: readonly string[]): Promise<void> {
    const connection = await this.#admin();
    try {
      for (const statement of statements) await connection.query(statement);
    } finally {
      await connection.end();
    }
  }

  /** Rows that the agent's own account gets. */
  async ask(query: string): Promise<readonly mysql.RowDataPacket[]> {
    const connection = await this.#admin();
    try {
      const [rows] = await connection.query<mysql.RowDataPacket[]>(query);
      return rows;
    } finally {
      await connection.end();
    }
  }

  /** Values of the server's variables. */
  async variables(names: readonly string[]): Promise<readonly string[]> {
    const list = names.map((name) => `@@global.${name} as ${name}`).join(', ');
    const [row] = await this.ask(`select ${list}`);
    return names.map((name) => String(row?.[name]));
  }

  #admin(): Promise<mysql.Connection> {
    const socketPath = join(this.input.runDir, 'mysql.sock');
    return mysql.createConnection({ socketPath, user: accounts.admin, password: testSecrets.admin });
  }

  async #signal(name: NodeJS.Signals): Promise<void> {
    for (const pid of await serverProcesses(this.input.dataDir)) process.kill(pid, name);
  }

  kill(): Promise<void> {
    return this.#signal('SIGKILL');
  }

  freeze(): Promise<void> {
    return this.#signal('SIGSTOP');
  }

  async damage(how: Damage): Promise<void> {
    const identity = join(this.input.dataDir, 'understudy.json');
    if (how === 'not-a-database') return rm(identity);
    if (how === 'half-copied') return rm(join(this.input.dataDir, 'ibdata1'));
    if (how === 'control-data') return writeFile(identity, '{"cluster": "conformance"');
    const text = await readFile(identity, 'utf8');
    if (how === 'other-cluster') return writeFile(identity, text.replace('"conformance"', '"another"'));
    return writeFile(identity, text.replace(/"version": "[^"]*"/, '"version": "99.1.0"'));
  }

  async keptAside(): Promise<readonly string[]> {
    const names = await readdir(dirname(this.input.dataDir));
    return names.filter((name) => name.startsWith(`${basename(this.input.dataDir)}.aside-`));
  }

  /** Ends whatever is left of the server, however the test left it. */
  async destroy(): Promise<void> {
    await this.#engine.close('leave-running').catch(() => undefined);
    const folder = dirname(this.input.dataDir);
    // Also the server of a copy that was being made.
    const names = (await readdir(folder)).filter((name) => name.startsWith(basename(this.input.dataDir)));
    for (const name of names) {
      for (const pid of await serverProcesses(join(folder, name))) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // Gone meanwhile, which is what was wanted.
        }
      }
    }
  }
}

/** A node of the suite as the harness made it. */
export function nodeOf(node: ConformanceNode): TestNode {
  if (node instanceof TestNode) return node;
  throw new Error(`${node.id} was not made by this harness`);
}

/** Streams between the engines of one process: what agents do over their API. A stream ends only when its copy is whole. */
export function openCopyAmong(nodes: readonly TestNode[]): OpenCopy {
  return async (from, request, signal) => {
    const engine = nodes.find(({ id }) => id === from.id)?.engine();
    if (engine?.sendCopy === undefined) throw new EngineError('ENGINE_COPY_UNAVAILABLE', 'no such engine');
    const stream = new PassThrough();
    const gone = new AbortController();
    stream.once('close', () => gone.abort());
    const work = engine.sendCopy(request, stream, AbortSignal.any([signal, gone.signal]));
    const settled = work.then(
      () => stream.end(),
      (error: unknown) => stream.destroy(error instanceof Error ? error : new Error(String(error))),
    );
    // As over the network: a refusal comes before the stream begins.
    await Promise.race([once(stream, 'readable'), settled]);
    if (stream.errored !== null) throw stream.errored;
    return stream;
  };
}

/** One server as the conformance suite wants it. */
export function mysqlHarness(
  server: MysqlServer,
  more: Partial<MysqlEngineInput> | ((member: string) => Partial<MysqlEngineInput>) = {},
): ConformanceHarness {
  return {
    name: `${server.flavour} ${server.version} (${server.origin})`,
    damages: ['other-cluster', 'other-version', 'not-a-database', 'control-data', 'half-copied'],
    async makeCluster(count): Promise<ConformanceCluster> {
      const root = await makeRoot();
      const nodes: TestNode[] = [];
      for (let number = 1; number <= count; number++) {
        const openCopy = openCopyAmong(nodes);
        const input = {
          ...(await engineInput(server, root, number)),
          openCopy,
          ...(typeof more === 'function' ? more(`n${number}`) : more),
        };
        nodes.push(new TestNode(input, await createMysqlEngine(input)));
      }
      return {
        nodes,
        async createTable(leader) {
          const node = nodes.find(({ id }) => id === leader.id);
          await node?.sql([
            'create database conformance',
            'create table conformance.numbers (value bigint primary key)',
            `create user '${application.user}'@'%' identified by '${application.password}'`,
            `grant all on conformance.* to '${application.user}'@'%'`,
          ]);
        },
        async destroy() {
          for (const node of nodes) await node.destroy();
          await rm(root, { recursive: true, force: true });
        },
      };
    },
  };
}
