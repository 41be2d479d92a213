/** Real clusters for tests: one agent process per node, a local store, real PostgreSQL, everything in one folder that goes away. */

import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isAlive, type ProcessName, processName } from '@understudy/base/processes';
import pg from 'pg';
import { stringify } from 'yaml';
import { killTree } from '../../src/guard/proc.ts';
import {
  lockHolder,
  MEMORY_ENVIRONMENT,
  type NodeConfigInput,
  type StatusView,
  statusViewSchema,
} from '../../src/index.ts';

import { eventually } from './eventually.ts';
import { freePorts } from './ports.ts';

export const TOKEN = 'test-token-of-sixteen-or-more';
export const PASSWORD = 'test-password';
const AGENT_MAIN = fileURLToPath(new URL('./agent-main.ts', import.meta.url));

export interface TestNode {
  readonly name: string;
  readonly apiUrl: string;
  readonly dbPort: number;
  readonly runDir: string;
  readonly configFile: string;
  readonly logFile: string;
}

export interface Overrides {
  readonly store?: NodeConfigInput['store'];
  readonly guard?: NodeConfigInput['guard'];
  readonly tls?: NonNullable<NodeConfigInput['api']>['tls'];
  /** Further settings of the API. */
  readonly api?: Partial<NonNullable<NodeConfigInput['api']>>;
}

export class TestCluster {
  readonly folder: string;
  readonly nodes: readonly TestNode[];
  readonly #children: ChildProcess[] = [];

  private constructor(folder: string, nodes: readonly TestNode[]) {
    this.folder = folder;
    this.nodes = nodes;
  }

  static async make(names: readonly string[], overrides: Overrides = {}): Promise<TestCluster> {
    const folder = await mkdtemp(join(tmpdir(), 'us-agent-'));
    // The server's user passes through.
    await chmod(folder, 0o711);
    const secrets = { superuser: PASSWORD, replication: PASSWORD, rewind: PASSWORD, monitor: PASSWORD };
    await writeFile(join(folder, 'secrets.json'), JSON.stringify(secrets), { mode: 0o600 });
    await writeFile(join(folder, 'token'), TOKEN, { mode: 0o600 });
    const ports = await freePorts(names.length * 2);
    const nodes = await Promise.all(
      names.map((name, index) => makeNode(folder, name, ports[2 * index] ?? 0, ports[2 * index + 1] ?? 0, overrides)),
    );
    return new TestCluster(folder, nodes);
  }

  node(name: string): TestNode {
    const node = this.nodes.find((each) => each.name === name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  /** Starts a node's agent. Its output goes to a file beside its configuration. */
  start(node: TestNode): ChildProcess {
    const child = spawn(process.execPath, [AGENT_MAIN, node.configFile], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...MEMORY_ENVIRONMENT, ...process.env },
      detached: true,
    });
    child.stderr?.setEncoding('utf8');
    child.stderr?.on('data', (text: string) => process.stderr.write(`[${node.name}] ${text}`));
    this.#children.push(child);
    return child;
  }

  async status(node: TestNode): Promise<StatusView> {
    const response = await fetch(`${node.apiUrl}/understudy/status`, { signal: AbortSignal.timeout(2_000) });
    return statusViewSchema.parse(await response.json());
  }

  /** The leader by `node`'s account, once by its own account it is open, and hears `replicas` others that are fit to replace it. */
  async ready(node: TestNode, replicas: number): Promise<TestNode> {
    return eventually(`a leader with ${replicas} sync replicas`, async () => {
      const status = await this.status(node);
      if (status.phase !== 'open' || status.leader === null) return null;
      const leader = this.node(status.leader);
      // What comes next is usually asked of the leader, and what another node sees it may not see yet.
      const seen = leader === node ? status : await this.status(leader);
      const fit = seen.members.filter(
        ({ role, receiver, agent }) =>
          role === 'sync-standby' && receiver?.kind === 'streaming' && agent.kind === 'fresh',
      );
      return seen.phase === 'open' && seen.leader === leader.name && fit.length >= replicas ? leader : null;
    });
  }

  async connect(node: TestNode): Promise<pg.Client> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: node.dbPort,
      user: 'postgres',
      password: PASSWORD,
      database: 'postgres',
      connectionTimeoutMillis: 1_000,
      query_timeout: 5_000,
    });
    // A server that is killed ends the connection; what that means is the caller's to find out by its next query.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async agentProcess(node: TestNode): Promise<ProcessName | null> {
    return lockHolder(node.runDir);
  }

  async guardProcess(node: TestNode): Promise<ProcessName | null> {
    const { pid, startTicks } = JSON.parse(await readFile(join(node.runDir, 'guard.pid'), 'utf8'));
    const name: ProcessName = { pid, startTicks };
    return isAlive(name) ? name : null;
  }

  async serverProcess(node: TestNode): Promise<ProcessName | null> {
    const text = await readFile(join(this.folder, node.name, 'data', 'postmaster.pid'), 'utf8');
    return processName(Number(text.split('\n')[0]));
  }

  log(node: TestNode): Promise<string> {
    return readFile(node.logFile, 'utf8');
  }

  /** Ends everything of this cluster, in whatever state it is, and removes its folder. */
  async destroy(): Promise<void> {
    for (const node of this.nodes) await this.#kill(node);
    for (const child of this.#children) child.kill('SIGKILL');
    if (process.env.KEEP === undefined) await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async #kill(node: TestNode): Promise<void> {
    const quietly = async (find: () => Promise<ProcessName | null>) => find().catch(() => null);
    // The guard first: it would start the agent again.
    for (const find of [this.guardProcess, this.agentProcess, this.guardProcess, this.serverProcess]) {
      const found = await quietly(() => find.call(this, node));
      if (found !== null) killTree(found);
    }
    const again = await quietly(() => this.agentProcess(node));
    if (again !== null) killTree(again);
  }
}

async function makeNode(
  folder: string,
  name: string,
  api: number,
  db: number,
  overrides: Overrides,
): Promise<TestNode> {
  const home = join(folder, name);
  await mkdir(home, { mode: 0o711 });
  const configFile = join(home, 'node.yaml');
  const logFile = join(home, 'agent.log');
  const config: NodeConfigInput = {
    cluster: 'test',
    member: name,
    store: overrides.store ?? { kind: 'local', path: join(folder, 'store.db') },
    api: {
      listen: `127.0.0.1:${api}`,
      tokenFile: join(folder, 'token'),
      ...(overrides.tls === undefined ? {} : { tls: overrides.tls }),
      ...overrides.api,
    },
    engine: { kind: 'postgres', dataDir: join(home, 'data'), listen: `127.0.0.1:${db}` },
    secretsFile: join(folder, 'secrets.json'),
    runDir: join(home, 'run'),
    logs: { file: logFile, level: 'debug' },
    ...(overrides.guard === undefined ? {} : { guard: overrides.guard }),
  };
  await writeFile(configFile, stringify(config));
  const scheme = overrides.tls === undefined ? 'http' : 'https';
  return { name, apiUrl: `${scheme}://127.0.0.1:${api}`, dbPort: db, runDir: config.runDir, configFile, logFile };
}
