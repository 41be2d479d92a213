import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type DatabaseLogin, type LocalServer, readLogin, type StartOptions } from '@understudy/local';
import {
  type ClusterPaths,
  clusterPaths,
  ensureLogin,
  ensureSecrets,
  type FolderLock,
  findServer,
  folderOf,
  isSameVersion,
  killAll,
  lockFolder,
  nodePaths,
  prepareFolders,
  processesOf,
  reachableServer,
  readText,
  removeFolder,
  socketFolderOf,
} from '@understudy/local/parts';
import { serverUser, templateFolder } from '@understudy/servers';
import type { PairStatus } from '../control/protocol.ts';
import { ControlServer } from '../control/server.ts';
import { type Both, type SideName, sideNames, sideNumbers } from '../decide/sides.ts';
import { PairError } from '../errors.ts';
import { PairServer } from '../server/server.ts';
import { Ledger } from './ledger.ts';
import { controlSocket, pairFolders } from './manage.ts';
import type { PairOptions } from './options.ts';
import { claimPairPorts, newPairFile, type PairFile, readPairFile, writePairFile } from './pair-file.ts';
import { Desk } from './requests.ts';
import { Supervisor } from './supervisor.ts';

const loopback = '127.0.0.1';
const defaultCheckEveryS = 30;
const startTimeoutMs = 120_000;

/** The environment of processes of ours; servers are found by the folder that they work in. */
export const pairMark = (folder: string, id: string) => ({ variable: `UNDERSTUDY_PAIR=${id}`, folder });

/**
 * Claims a folder for a pair on this machine; `start` then runs it.
 *
 * @throws LocalError `CLUSTER_BUSY`, `FOLDER_UNUSABLE`; PairError `PAIR_STATE_INVALID` when the folder holds a cluster.
 */
export async function createPair(options: PairOptions): Promise<Pair> {
  const folder = await folderOf(options);
  const paths = clusterPaths(folder);
  if ((await readText(paths.state)) !== null) {
    const text = `${folder} holds a cluster, which cannot become a pair.`;
    throw new PairError('PAIR_STATE_INVALID', text, { next: 'Choose another folder or --name.' });
  }
  await prepareFolders(folder, []);
  return new Pair(paths, lockFolder(paths), options);
}

/** Two servers that replicate from each other, run by this process. */
export class Pair {
  readonly paths: ClusterPaths;
  readonly #lock: FolderLock;
  readonly #options: PairOptions;
  #supervisor: Supervisor | null = null;
  #desk: Desk | null = null;
  #control: ControlServer | null = null;
  #file: PairFile | null = null;
  #server: LocalServer | null = null;

  constructor(paths: ClusterPaths, lock: FolderLock, options: PairOptions) {
    this.paths = paths;
    this.#lock = lock;
    this.#options = options;
  }

  get folder(): string {
    return this.paths.folder;
  }

  get supervisor(): Supervisor {
    if (this.#supervisor === null) throw new PairError('PAIR_NOT_RUNNING', 'The pair is not started.');
    return this.#supervisor;
  }

  get status(): PairStatus {
    if (this.#desk === null) throw new PairError('PAIR_NOT_RUNNING', 'The pair is not started.');
    return this.#desk.status();
  }

  get version(): string {
    return this.#server?.version ?? '';
  }

  login(): Promise<DatabaseLogin> {
    return readPairLogin(this.folder);
  }

  /**
   * Starts both servers, or takes over those that run, and waits until they replicate from each other.
   *
   * @throws PairError, LocalError, ServersError; what was started is stopped again then.
   */
  async start(options: StartOptions = {}): Promise<void> {
    const { timeoutMs = startTimeoutMs, signal = new AbortController().signal } = options;
    try {
      const { file, servers } = await this.#prepare(signal);
      this.#say('agents', 'starting two servers');
      const ledger = new Ledger(this.folder, file, (event) => this.#options.onEvent?.(event));
      const supervisor = new Supervisor(servers, ledger, this.paths);
      this.#supervisor = supervisor;
      await supervisor.start();
      const desk = new Desk(supervisor, this.version);
      desk.start();
      this.#desk = desk;
      this.#control = new ControlServer(controlSocket(this.folder), (request) => desk.handle(request));
      await this.#control.listen();
      this.#say('replicas', 'waiting until they replicate from each other');
      await supervisor.waitUntilOpen({ timeoutMs, signal });
      await this.#makeLogin(supervisor);
      await supervisor.waitUntilWhole({ timeoutMs, signal });
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async #prepare(signal: AbortSignal): Promise<{ readonly file: PairFile; readonly servers: Both<PairServer> }> {
    const { binDir = null, engine: asked } = this.#options;
    const kept = await readPairFile(this.folder);
    const engine = asked ?? kept?.engine ?? 'mysql';
    this.#say('servers', `looking for ${engine}`);
    const found = await findServer({
      engine,
      version: this.#options.version ?? (kept?.engine === engine ? kept.version : null),
      binDir,
      onProgress: (fetch) =>
        this.#options.onProgress?.({ phase: 'servers', text: fetch.text, fraction: fetch.fraction, nodes: [], fetch }),
    });
    const server = await reachableServer(found);
    this.#server = server;
    const planned = await this.#plan(kept, engine, server.series);
    await prepareFolders(this.folder, pairFolders);
    await ensureSecrets(this.paths);
    const running = new Set<SideName>();
    for (const name of sideNames) if (this.#isRunning(name)) running.add(name);
    const file = await claimPairPorts(planned, running);
    await writePairFile(this.folder, file);
    this.#file = file;
    const servers = { n1: await this.#make('n1', file, server), n2: await this.#make('n2', file, server) };
    for (const name of sideNames) await servers[name].ensureData(signal);
    return { file, servers };
  }

  #isRunning(name: SideName): boolean {
    const { folder } = nodePaths(this.folder, name);
    return processesOf({ variable: 'UNDERSTUDY_PAIR=none', folder }).length > 0;
  }

  async #plan(kept: PairFile | null, engine: 'mysql' | 'mariadb', series: string): Promise<PairFile> {
    const { name, version, writers, checkEveryS } = this.#options;
    if (kept === null) {
      const wanted = { writers: writers ?? 'one', checkEveryS: checkEveryS ?? defaultCheckEveryS };
      return newPairFile({ name: name ?? 'default', engine, version: series, ...wanted });
    }
    const isOther =
      (name !== undefined && name !== kept.name) ||
      engine !== kept.engine ||
      (version !== undefined && !isSameVersion(kept.version, version));
    if (isOther) {
      const what = `${this.folder} holds the pair ${kept.name} of ${kept.engine} ${kept.version}`;
      const text = `${what}, and it cannot become another.`;
      throw new PairError('PAIR_STATE_INVALID', text, {
        next: 'Start it without that option, or choose another folder.',
      });
    }
    if (writers !== undefined && writers !== kept.writers) {
      const text = `The pair in ${this.folder} was left with writers "${kept.writers}".`;
      throw new PairError('PAIR_STATE_INVALID', text, {
        next: `Start it without --writers, then: understudy pair writers ${writers}`,
      });
    }
    return { ...kept, checkEveryS: checkEveryS ?? kept.checkEveryS };
  }

  async #make(name: SideName, file: PairFile, server: LocalServer): Promise<PairServer> {
    const secrets = await ensureSecrets(this.paths);
    const paths = nodePaths(this.folder, name);
    const user = serverUser();
    await mkdir(templateFolder(), { recursive: true });
    return PairServer.make(name, {
      cluster: file.name,
      member: name,
      serverId: sideNumbers[name].serverId,
      dataDir: paths.dataDir,
      runDir: socketFolderOf(paths),
      cacheDir: templateFolder(),
      listen: { host: loopback, port: file.nodes[name].dbPort },
      binaries: { baseDir: baseDirOf(server), server: serverProgramOf(server) },
      runAs: user === null ? null : { uid: user.uid, gid: user.gid },
      secrets: {
        admin: secrets.superuser,
        replication: secrets.replication,
        clone: secrets.rewind,
        monitor: secrets.monitor,
      },
      parameters: { ...this.#options.parameters },
    });
  }

  /** The account and the database for clients, made on the active server. */
  async #makeLogin({ ledger }: Supervisor): Promise<void> {
    const { active, nodes, engine } = ledger.file;
    const address = {
      name: active,
      host: loopback,
      dbPort: nodes[active].dbPort,
      apiUrl: '',
      socketFolder: socketFolderOf(nodePaths(this.folder, active)),
    };
    await ensureLogin(engine, address, await this.login());
  }

  /** Stops both servers in order, and lets go of the folder. Can be called twice. */
  async stop(): Promise<void> {
    const supervisor = this.#supervisor;
    this.#supervisor = null;
    const control = this.#control;
    this.#control = null;
    try {
      await control?.close();
      await supervisor?.stop();
      await this.#desk?.ended();
    } finally {
      this.#lock.release();
    }
  }

  /** Kills both servers at once. */
  async kill(): Promise<void> {
    if (this.#file !== null) await killAll(pairMark(this.folder, this.#file.id));
  }

  /** Stops everything and removes the folder with all data. */
  async destroy(): Promise<void> {
    await this.kill();
    await this.stop();
    await removeFolder(this.folder);
  }

  #say(phase: 'servers' | 'agents' | 'replicas', text: string): void {
    this.#options.onProgress?.({ phase, text, fraction: null, nodes: [] });
  }
}

/** How to log in to a pair's databases. */
export async function readPairLogin(folder: string): Promise<DatabaseLogin> {
  return { ...(await readLogin(folder)), user: 'admin', database: 'app' };
}

function baseDirOf(server: LocalServer): string {
  return 'baseDir' in server ? server.baseDir : join(server.binDir, '..');
}

function serverProgramOf(server: LocalServer): string {
  return 'server' in server.tools ? server.tools.server : join(server.binDir, 'mysqld');
}
