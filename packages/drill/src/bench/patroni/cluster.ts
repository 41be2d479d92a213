import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monotonicMs, pollUntil, reasonOf } from '@understudy/base';
import { Network } from '@understudy/local';
import {
  clusterPaths,
  LocalEtcd,
  newClusterId,
  nodePaths,
  prepareFolders,
  removeFolder,
  socketFolderOf,
} from '@understudy/local/parts';
import { serverUser } from '@understudy/servers';
import { drillDatabase, drillRole } from '../../database/database.ts';
import { postgresDatabase } from '../../database/postgres.ts';
import type { Session, Target } from '../../database/session.ts';
import { DrillError } from '../../errors.ts';
import type { Convergence } from '../../run/converge.ts';
import { lasting } from '../../run/converge.ts';
import { withSession } from '../../run/sql.ts';
import { patroniConfig, ports, superuser } from './config.ts';
import { PatroniNode } from './node.ts';
import { gatherPrograms, type Programs } from './programs.ts';

export interface PatroniIo {
  readonly signal: AbortSignal;
  readonly notice: (text: string) => void;
  readonly progress: (text: string) => void;
}

const nodeNames = ['p1', 'p2', 'p3'];
const storeHost = 'store';
const storePorts = { clientPort: 2379, peerPort: 2380 };
const startWithinMs = 120_000;
/** As in the drill: what was there before, a node that keeps up has within this time. */
const catchUpMs = 1000;

const secret = (): string => randomBytes(18).toString('base64url');

/** Three nodes kept by Patroni and an etcd of one member, each on a host of its own. */
export class PatroniCluster {
  readonly folder: string;
  readonly network: Network;
  #nodes: readonly PatroniNode[] = [];
  #etcd: LocalEtcd | null = null;
  readonly #io: PatroniIo;
  readonly #passwords = { superuser: secret(), replication: secret(), application: secret() };

  private constructor(folder: string, network: Network, io: PatroniIo) {
    this.folder = folder;
    this.network = network;
    this.#io = io;
  }

  /** Starts one in a new folder, with the drill's tables. @throws DrillError `SETUP_FAILED`, `INTERRUPTED`; the folder with logs stays then */
  static async start(programs: Programs, io: PatroniIo): Promise<PatroniCluster> {
    io.progress('starting Patroni');
    const folder = await mkdtemp(join(tmpdir(), 'understudy-patroni-'));
    const cluster = await Network.create([...nodeNames, storeHost]).then(
      (network) => new PatroniCluster(folder, network, io),
      async (error: unknown) => {
        await rm(folder, { recursive: true, force: true });
        throw error;
      },
    );
    try {
      await cluster.#start(programs);
      return cluster;
    } catch (error) {
      await cluster.end(io.signal.aborted ? 'remove' : 'keep');
      throw error;
    }
  }

  get nodes(): readonly PatroniNode[] {
    return this.#nodes;
  }

  /** The nodes as an application reaches them. */
  networkTargets(): Target[] {
    return this.#nodes.map((node) => ({
      node: node.name,
      host: node.address,
      port: ports.postgres,
      user: drillRole,
      password: this.#passwords.application,
      database: drillDatabase,
      ca: null,
    }));
  }

  /** The nodes over their Unix sockets, as the superuser. */
  socketTargets(): Target[] {
    return this.#nodes.map((node) => ({ ...this.#admin(node, drillDatabase), host: socketFolderOf(node.paths) }));
  }

  node(name: string): PatroniNode {
    const found = this.#nodes.find((node) => node.name === name);
    if (found === undefined) throw new DrillError('FAULT_FAILED', `Patroni has no node "${name}".`);
    return found;
  }

  /** Runs `work` over a connection of its own to a node, as the superuser. */
  withAdmin<T>(name: string, database: string, work: (session: Session) => Promise<T>): Promise<T> {
    return withSession(postgresDatabase, this.#admin(this.node(name), database), work);
  }

  /** Waits until there is a leader, a synchronous standby, and every node has what the leader has. */
  async waitUntilConverged(timeoutMs: number): Promise<Convergence> {
    const startedMs = monotonicMs();
    let why = 'no Patroni answers';
    const leader = await pollUntil(
      async () => {
        const found = await this.#look().catch(
          (error: unknown) => ({ kind: 'not-yet', why: reasonOf(error) }) as const,
        );
        if (found.kind === 'whole') return found.leader;
        why = found.why;
        return null;
      },
      { everyMs: 100, timeoutMs, signal: this.#io.signal },
    );
    return leader === null
      ? { kind: 'not-converged', why: `after ${Math.round(timeoutMs / 1000)} s: ${why}` }
      : { kind: 'converged', leader, tookMs: monotonicMs() - startedMs };
  }

  /** Ends every process and the network. @param folder what becomes of data and logs */
  async end(folder: 'keep' | 'remove'): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.killHost()));
    await this.#etcd?.kill();
    await this.network.remove();
    if (folder === 'keep') this.#io.notice(`Patroni's folder with logs and data stays: ${this.folder}`);
    else await removeFolder(this.folder);
  }

  async #start(programs: Programs): Promise<void> {
    const { folder, network } = this;
    const { signal, notice, progress } = this.#io;
    await prepareFolders(folder, nodeNames);
    await gatherPrograms(programs, join(folder, 'bin'));
    const id = newClusterId();
    this.#etcd = await LocalEtcd.start({
      paths: clusterPaths(folder),
      clusterId: id,
      members: [{ name: 'etcd1', ...storePorts }],
      addressOf: () => this.#addressOf(storeHost),
      enter: (_, command) => network.enter(storeHost, command),
      certificates: null,
      version: '3.5',
      mark: {},
      onEvent: ({ kind, name }) => notice(`${name}: ${kind}`),
      signal,
    });
    const nodes: PatroniNode[] = [];
    for (const name of nodeNames) nodes.push(await this.#makeNode(name, id, programs));
    this.#nodes = nodes;
    for (const node of nodes) node.start();
    progress('starting Patroni: its three nodes');
    const convergence = await this.waitUntilConverged(startWithinMs);
    if (convergence.kind === 'not-converged') {
      throw new DrillError('SETUP_FAILED', `Patroni's cluster is not ready ${convergence.why}.`, {
        next: `See ${folder}/logs.`,
      });
    }
    await this.#makeTables(convergence.leader);
  }

  async #makeNode(name: string, clusterId: string, programs: Programs): Promise<PatroniNode> {
    const paths = nodePaths(this.folder, name);
    const address = this.#addressOf(name);
    const user = serverUser();
    const config = patroniConfig({
      name,
      address,
      storeUrl: { host: this.#addressOf(storeHost), port: storePorts.clientPort },
      dataDir: paths.dataDir,
      socketFolder: socketFolderOf(paths),
      passFile: join(paths.folder, 'pgpass'),
      binDir: join(this.folder, 'bin'),
      passwords: this.#passwords,
    });
    await writeFile(paths.config, config, { mode: 0o600 });
    if (user !== null)
      for (const path of [paths.folder, paths.runDir, paths.config]) await chown(path, user.uid, user.gid);
    await chmod(paths.folder, 0o700);
    const ids = user === null ? [] : ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--'];
    const command = [...ids, programs.patroni.python, '-I', '-m', 'patroni', paths.config];
    return new PatroniNode({
      name,
      address,
      paths,
      clusterId,
      command: this.network.enter(name, command),
      onEvent: (event) => {
        if (event.kind === 'ended') this.#io.notice(`${event.name} ended: ${event.how}`);
      },
    });
  }

  async #makeTables(leader: string): Promise<void> {
    await this.withAdmin(leader, postgresDatabase.adminDatabase, (admin) =>
      postgresDatabase.createRole(admin, this.#passwords.application),
    );
    await this.withAdmin(leader, drillDatabase, (session) => postgresDatabase.createTables(session));
  }

  async #look(): Promise<{ kind: 'whole'; leader: string } | { kind: 'not-yet'; why: string }> {
    const views = await Promise.all(this.#nodes.map((node) => node.members()));
    const silent = this.#nodes.filter((_, index) => views[index] === null).map(({ name }) => name);
    if (silent.length > 0) return { kind: 'not-yet', why: `Patroni on ${silent.join(', ')} does not answer` };
    const leaders = views.map((members) =>
      members?.find(({ role, state }) => role === 'leader' && state === 'running'),
    );
    const leader = leaders[0]?.name;
    if (leader === undefined || leaders.some((one) => one?.name !== leader))
      return { kind: 'not-yet', why: 'no leader' };
    const standby = views[0]?.some(({ role }) => role === 'sync_standby') ?? false;
    if (!standby) return { kind: 'not-yet', why: `${leader} leads without a synchronous standby` };
    const problem = await this.#behind(leader);
    return problem === null ? { kind: 'whole', leader } : { kind: 'not-yet', why: problem };
  }

  /** Who does not have everything that the leader has now. */
  async #behind(leader: string): Promise<string | null> {
    const { adminDatabase } = postgresDatabase;
    const end = await this.withAdmin(leader, adminDatabase, (session) => postgresDatabase.end(session));
    for (const { name } of this.#nodes) {
      if (name === leader) continue;
      const problem = await this.withAdmin(name, adminDatabase, (session) =>
        lasting(() => postgresDatabase.behind(session, end), {
          everyMs: 20,
          timeoutMs: catchUpMs,
          signal: this.#io.signal,
        }),
      );
      if (problem !== null) return `${name} ${problem}`;
    }
    return null;
  }

  #admin(node: PatroniNode, database: string): Target {
    const { superuser: password } = this.#passwords;
    return { node: node.name, host: node.address, port: ports.postgres, user: superuser, password, database, ca: null };
  }

  #addressOf(host: string): string {
    const found = this.network.hosts.get(host);
    if (found === undefined) throw new DrillError('SETUP_FAILED', `There is no host "${host}".`);
    return found.address;
  }
}
