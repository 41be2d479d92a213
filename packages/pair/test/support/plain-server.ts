import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pollUntil } from '@understudy/base';
import type { ServerProcess } from '@understudy/engine/host';
import {
  copyTemplate,
  ensureTemplate,
  findPrograms,
  logTail,
  mysqlProcess,
  parseOptions,
  renderConfig,
  type Settings,
} from '@understudy/mysql/parts';
import { findMysql, reachableMysql, serverUser, templateFolder } from '@understudy/servers';
import mysql from 'mysql2/promise';

export const boss = { user: 'boss', password: 'boss of the tests' };

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

/** A server as somebody without this program would run it: no GTIDs are used, and `boss` may do everything. */
export class PlainServer {
  readonly port: number;
  readonly folder: string;
  readonly #process: ServerProcess;

  private constructor(folder: string, port: number, process: ServerProcess) {
    this.folder = folder;
    this.port = port;
    this.#process = process;
  }

  /** @param root a folder that the servers' user can pass through. */
  static async start(
    root: string,
    serverId: number,
    wanted: { readonly flavour: 'mysql' | 'mariadb'; readonly version: string },
    more: Settings = [],
  ): Promise<PlainServer> {
    const found = await reachableMysql(await findMysql(wanted), serverUser());
    const folder = join(root, `s${serverId}`);
    const user = serverUser();
    const owner = user === null ? null : { uid: user.uid, gid: user.gid };
    for (const each of [folder, join(folder, 'run'), join(folder, 'tmp'), templateFolder()])
      await mkdir(each, { recursive: true, mode: 0o755 });
    if (owner !== null) for (const each of ['run', 'tmp', '.']) await chown(join(folder, each), owner.uid, owner.gid);
    const port = await freePort();
    const secret = 'unused in this test';
    const options = parseOptions({
      cluster: 'plain',
      member: `s${serverId}`,
      serverId,
      dataDir: join(folder, 'data'),
      runDir: join(folder, 'run'),
      cacheDir: templateFolder(),
      listen: { host: '127.0.0.1', port },
      binaries: { baseDir: found.baseDir, server: found.tools.server },
      runAs: owner,
      secrets: { admin: secret, replication: secret, clone: secret, monitor: secret },
    });
    const programs = await findPrograms(options);
    await copyTemplate(await ensureTemplate(programs, options, new AbortController().signal), options.dataDir, owner);
    const accounts = join(folder, 'accounts.sql');
    const name = `'${boss.user}'@'%'`;
    const statements = [
      'SET sql_log_bin = 0',
      `CREATE USER ${name} IDENTIFIED BY '${boss.password}'`,
      `GRANT ALL ON *.* TO ${name} WITH GRANT OPTION`,
    ];
    await writeFile(accounts, statements.map((each) => `${each};\n`).join(''), { mode: 0o644 });
    const config = join(folder, 'my.cnf');
    const mine: Settings = [
      ['basedir', programs.baseDir],
      ['datadir', options.dataDir],
      ['socket', join(folder, 'run', 's.sock')],
      ['pid_file', join(folder, 'run', 's.pid')],
      ['tmpdir', join(folder, 'tmp')],
      ['init_file', accounts],
      ['bind_address', '127.0.0.1'],
      ['port', String(port)],
      ['server_id', String(serverId)],
      ['log_bin', 'binlog'],
      ['binlog_format', 'ROW'],
      ['relay_log', 'relay'],
      ['innodb_buffer_pool_size', '32M'],
      ['performance_schema', 'OFF'],
      ['skip_name_resolve', 'ON'],
      ...(wanted.flavour === 'mysql'
        ? ([
            ['mysqlx', 'OFF'],
            // On by default from 9.7 on.
            ['gtid_mode', 'OFF'],
            ['enforce_gtid_consistency', 'OFF'],
            ['secure_file_priv', 'NULL'],
          ] as const)
        : ([['log_slave_updates', 'ON']] as const)),
      ...(process.getuid?.() === 0 && owner === null ? ([['user', 'root']] as const) : []),
      ...more,
    ];
    await writeFile(config, renderConfig(null, mine), { mode: 0o644 });
    const running = mysqlProcess({
      program: programs.server,
      libraryPath: programs.libraryPath,
      dataDir: options.dataDir,
      logFile: join(folder, 'server.log'),
      owner,
    });
    const server = new PlainServer(folder, port, running);
    await running.start([`--defaults-file=${config}`]);
    const answered = await pollUntil(
      async () => {
        if (running.check() === 'gone') throw new Error(`The server ended: ${await logTail(running, 5)}`);
        return server.query('select 1').then(
          () => true,
          () => null,
        );
      },
      { everyMs: 50, timeoutMs: 60_000 },
    );
    if (answered === null) throw new Error(`The server did not answer: ${await logTail(running, 5)}`);
    return server;
  }

  get login() {
    return { host: '127.0.0.1', port: this.port, plain: 'loopback', ...boss } as const;
  }

  async connect(as: { readonly user: string; readonly password: string } = boss): Promise<mysql.Connection> {
    const connection = await mysql.createConnection({
      host: '127.0.0.1',
      port: this.port,
      ...as,
      multipleStatements: true,
    });
    connection.on('error', () => undefined);
    return connection;
  }

  async query(sql: string, as = boss): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const connection = await this.connect(as);
    try {
      const [rows] = await connection.query<mysql.RowDataPacket[]>({ sql, timeout: 20_000 });
      return Array.isArray(rows) ? rows : [];
    } finally {
      connection.destroy();
    }
  }

  async stop(): Promise<void> {
    await this.#process.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}
