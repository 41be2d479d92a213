import { join } from 'node:path';
import {
  isThere,
  makeFolder,
  type Owner,
  removeFile,
  removeTree,
  renameTo,
  replaceFile,
  requireFreePort,
  type ServerProcess,
} from '@understudy/engine/host';
import {
  accountStatements,
  accounts,
  copyTemplate,
  type Dialect,
  dialectOf,
  ensureTemplate,
  findPrograms,
  LocalSql,
  logTail,
  ManagedConfig,
  type MysqlOptions,
  mysqlProcess,
  type Paths,
  parseOptions,
  pathsOf,
  quoteAccount,
  quoteLiteral,
  readCatalog,
  renderConfig,
  type ServerPrograms,
  type Settings,
  siblingPath,
  siblings,
} from '@understudy/mysql/parts';
import { pairSettings, type SideName } from '../decide/sides.ts';

const stopTimeoutMs = 60_000;
const answerTimeoutMs = 2000;
const queryTimeoutMs = 4000;

/** One of the two servers: its folder, its process, its SQL. Every method can be repeated. */
export class PairServer {
  readonly name: SideName;
  readonly options: MysqlOptions;
  readonly paths: Paths;
  readonly owner: Owner;
  readonly programs: ServerPrograms;
  readonly dialect: Dialect;
  readonly config: ManagedConfig;
  readonly process: ServerProcess;
  readonly sql: LocalSql;

  private constructor(name: SideName, options: MysqlOptions, programs: ServerPrograms, catalog: ReadonlySet<string>) {
    this.name = name;
    this.options = options;
    this.paths = pathsOf(options);
    this.owner = options.runAs;
    this.programs = programs;
    this.dialect = dialectOf(catalog, programs.version);
    this.config = new ManagedConfig(options, this.paths, programs, catalog);
    const { server: program, libraryPath } = programs;
    this.process = mysqlProcess({
      program,
      libraryPath,
      dataDir: options.dataDir,
      logFile: this.paths.log,
      owner: options.runAs,
    });
    this.sql = new LocalSql(options, this.paths);
  }

  /** @throws EngineError when the programs cannot be run or an option is wrong. */
  static async make(name: SideName, input: Parameters<typeof parseOptions>[0]): Promise<PairServer> {
    const options = parseOptions(input);
    const programs = await findPrograms(options);
    return new PairServer(name, options, programs, await readCatalog(programs, options));
  }

  /** Makes an empty database where there is none. */
  async ensureData(signal: AbortSignal): Promise<void> {
    const { dataDir } = this.options;
    await makeFolder(this.paths.runDir, this.owner);
    await this.#removeUnfinished();
    if (await isThere(dataDir)) return;
    const target = siblingPath(dataDir, 'init');
    try {
      const made = this.config.forMaking();
      await copyTemplate(await ensureTemplate(this.programs, this.options, signal, made), target, this.owner);
      await renameTo(target, dataDir);
    } finally {
      await removeTree(target);
    }
  }

  /** Removes what an interrupted copy left, with the server that may still write it. */
  async #removeUnfinished(): Promise<void> {
    const { server: program, libraryPath } = this.programs;
    const { dataDir: own } = this.options;
    for (const folder of [...(await siblings(own, 'clone')), ...(await siblings(own, 'init'))]) {
      for (const dataDir of [folder, join(folder, 'base')]) {
        const left = mysqlProcess({ program, libraryPath, dataDir, logFile: this.paths.log, owner: this.owner });
        await left.killLeftovers();
      }
      await removeTree(folder);
    }
  }

  /**
   * Starts the server closed, receiving from nobody, or takes over the one that runs. It does not answer yet when this resolves.
   *
   * @throws EngineError when the port is in use or the program cannot be run.
   */
  async launch(): Promise<'started' | 'adopted'> {
    if ((await this.process.adopt()) !== null) return 'adopted';
    const { listen, secrets } = this.options;
    await this.process.killLeftovers();
    await requireFreePort(listen.host, listen.port);
    for (const name of [this.paths.socket, `${this.paths.socket}.lock`, this.paths.pidFile]) {
      await removeFile(name);
    }
    await makeFolder(this.paths.runDir, this.owner);
    await makeFolder(this.paths.temporary, this.owner);
    const login =
      accountStatements(this.programs.flavour, secrets.admin) + replicationAccounts(this.options, this.dialect);
    await replaceFile(this.paths.initFile, login, this.owner);
    await replaceFile(this.paths.config, renderConfig(null, this.#settings()), this.owner);
    await this.process.start(this.config.startArguments());
    return 'started';
  }

  /** What has to be done once when a started server answers. */
  async settle(): Promise<void> {
    await removeFile(this.paths.initFile);
    await this.#completeCopy();
  }

  #settings(): Settings {
    const own = pairSettings(this.name, this.dialect.gtids);
    const names = new Set<string>(own.map(([name]) => name));
    return [...this.config.settings().filter(([name]) => !names.has(name)), ...own];
  }

  /** A copy of MariaDB made from a dump knows what it holds, but would number its own transactions from 1 again. */
  async #completeCopy(): Promise<void> {
    if (this.dialect.gtids === 'sets') return;
    const session = await this.sql.monitor(answerTimeoutMs);
    const [row] = await session.query(
      'SELECT @@global.gtid_binlog_state AS state, @@global.gtid_slave_pos AS position',
    );
    const position = row?.position ?? '';
    if ((row?.state ?? '') !== '' || position === '') return;
    await session.query(`SET GLOBAL gtid_binlog_state = ${quoteLiteral(position)}`, [], queryTimeoutMs);
  }

  /** Shuts the server down in order; kills it when that takes too long. */
  async stop(timeoutMs = stopTimeoutMs): Promise<void> {
    await this.sql.close();
    this.process.terminate('SIGTERM');
    if ((await this.process.waitForExit(timeoutMs)) === 'running') await this.process.kill();
  }

  /** Why the server is not there, with the end of its log. */
  async lastWords(): Promise<string> {
    const log = await logTail(this.process, 3);
    return `${this.process.lastExit ?? 'it was found dead'}; its log (${this.paths.log}) ends: ${log}`;
  }
}

/** Accounts of each server's own: for the other one's receiver, and for a new copy. Written to no log. */
function replicationAccounts({ secrets }: MysqlOptions, { cloneRights }: Dialect): string {
  const wanted = [
    [accounts.copy, secrets.replication, 'REPLICATION SLAVE'],
    [accounts.clone, secrets.clone, cloneRights],
  ] as const;
  return wanted
    .flatMap(([user, password, rights]) => {
      const account = quoteAccount(user, '%');
      const login = `${account} IDENTIFIED BY ${quoteLiteral(password)}`;
      return [`CREATE USER IF NOT EXISTS ${login}`, `ALTER USER ${login}`, `GRANT ${rights} ON *.* TO ${account}`];
    })
    .map((statement) => `${statement};\n`)
    .join('');
}
