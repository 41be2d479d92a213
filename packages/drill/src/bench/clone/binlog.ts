import { join } from 'node:path';
import { monotonicMs, pause } from '@understudy/base';
import type { Engine } from '@understudy/engine';
import { makeFolder, removeTree, replaceFile } from '@understudy/engine/host';
import { createMysqlEngine, mysqlAccounts } from '@understudy/mysql';
import { findMysql, type MysqlServer, reachableMysql, serverUser } from '@understudy/servers';
import mysql from 'mysql2/promise';
import { freePort, type MakeEngine, type Pair } from './pair.ts';
import { openCopyAmong } from './stream.ts';
import type { ByHand, Subject } from './subject.ts';
import { timeTool } from './tool.ts';

const rowBytes = 4096;

/** MySQL or MariaDB on this machine. @throws ServersError when there is none */
export async function binlogSubject(flavour: 'mysql' | 'mariadb', version?: string): Promise<Subject> {
  const found = await findMysql({ flavour, ...(version === undefined ? {} : { version }) });
  const server = await reachableMysql(found, serverUser());
  const byHand =
    flavour === 'mysql'
      ? [clonePlugin(server, 'statement'), clonePlugin(server, 'with its server')]
      : [dump(server), ...backup(server)];
  return { name: `${flavour} ${server.version}`, make: makerOf(server), fill, byHand };
}

function makerOf(server: MysqlServer): MakeEngine {
  const user = serverUser();
  const engines = new Map<string, Engine>();
  return async (place, root, secret) => {
    const engine = await createMysqlEngine({
      cluster: 'bench',
      member: place.name,
      serverId: Number(place.name.slice(1)),
      dataDir: place.dataDir,
      runDir: place.runDir,
      cacheDir: join(root, 'cache'),
      listen: { host: '127.0.0.1', port: place.port },
      binaries: { baseDir: server.baseDir, server: server.tools.server },
      runAs: user === null ? null : { uid: user.uid, gid: user.gid },
      secrets: { admin: secret, replication: secret, clone: secret, monitor: secret },
      openCopy: openCopyAmong(engines),
    });
    engines.set(place.name, engine);
    return engine;
  };
}

const socketOf = (pair: Pair): string => join(pair.source.runDir, 'mysql.sock');

async function fill(pair: Pair, bytes: number): Promise<void> {
  const login = { socketPath: socketOf(pair), user: mysqlAccounts.admin, password: pair.secret };
  const connection = await mysql.createConnection(login);
  try {
    await connection.query('set sql_log_bin = 0');
    await connection.query('create database bench');
    await connection.query(
      'create table bench.large (id bigint auto_increment primary key, number int, text varbinary(8000), key (number))',
    );
    const noise = Array.from({ length: rowBytes / 1024 }, () => 'random_bytes(1024)').join(', ');
    await connection.query(`insert into bench.large (number, text) select 1, concat(${noise})`);
    for (let rows = 1; rows * rowBytes < bytes; rows *= 2) {
      const more = Math.min(rows, Math.ceil(bytes / rowBytes) - rows);
      await connection.query(
        `insert into bench.large (number, text) select id * 7 % 100003, concat(${noise}) from bench.large limit ${more}`,
      );
    }
  } finally {
    await connection.end();
  }
}

/** `CLONE INSTANCE`: the statement alone is timed, or also the start of the empty server that it needs where there is no data yet. */
function clonePlugin(server: MysqlServer, timed: 'statement' | 'with its server'): ByHand {
  return {
    name: `CLONE INSTANCE (${timed})`,
    copy: async (pair, signal) => {
      const folder = join(pair.root, 'hand');
      const base = [
        '--no-defaults',
        `--basedir=${server.baseDir}`,
        `--datadir=${join(folder, 'base')}`,
        '--mysqlx=OFF',
        '--performance-schema=OFF',
        '--secure-file-priv=NULL',
      ];
      await makeOwned(folder);
      await timeTool(server.tools.server, [...base, '--initialize-insecure'], { home: folder, signal });
      const socket = join(folder, 's');
      const ended = new AbortController();
      const running = [
        ...base,
        '--plugin-load-add=mysql_clone.so',
        `--clone-valid-donor-list=127.0.0.1:${pair.source.port}`,
        `--socket=${socket}`,
        `--port=${await freePort()}`,
        '--skip-log-bin',
      ];
      const beganMs = monotonicMs();
      const life = timeTool(server.tools.server, running, {
        home: folder,
        signal: AbortSignal.any([signal, ended.signal]),
      }).catch(() => 0);
      try {
        const connection = await connected({ socketPath: socket, user: 'root' });
        const startedMs = timed === 'statement' ? monotonicMs() : beganMs;
        await connection.query(
          `clone instance from '${mysqlAccounts.clone}'@'127.0.0.1':${pair.source.port} identified by '${pair.secret}' data directory = '${join(folder, 'copy')}'`,
        );
        const tookMs = monotonicMs() - startedMs;
        connection.destroy();
        return tookMs;
      } finally {
        ended.abort();
        await life;
        await removeTree(folder);
      }
    },
  };
}

async function connected(login: mysql.ConnectionOptions): Promise<mysql.Connection> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await mysql.createConnection(login);
    } catch (error) {
      if (attempt > 3000) throw error;
      await pause(10);
    }
  }
}

async function makeOwned(folder: string): Promise<void> {
  await removeTree(folder);
  await makeFolder(folder, serverUser());
}

/** `mariadb-backup --backup` on the source's own host, then `--prepare`. */
function backup(server: MysqlServer): readonly ByHand[] {
  const program = server.tools.backup;
  if (program === null) return [];
  const copy = async (pair: Pair, signal: AbortSignal): Promise<number> => {
    const folder = join(pair.root, 'hand');
    await makeOwned(folder);
    const options = join(folder, 'options.cnf');
    await ownedFile(
      options,
      `[mariadb-backup]\nuser=${mysqlAccounts.admin}\npassword=${pair.secret}\nsocket=${socketOf(pair)}\n`,
    );
    const place = [`--defaults-file=${options}`, `--target-dir=${join(folder, 'copy')}`];
    try {
      const first = await timeTool(program, [...place, '--backup', `--datadir=${pair.source.dataDir}`], {
        home: folder,
        signal,
      });
      return first + (await timeTool(program, [...place, '--prepare'], { home: folder, signal }));
    } finally {
      await removeTree(folder);
    }
  };
  return [{ name: 'mariadb-backup on the host of the source', copy }];
}

/** `mariadb-dump` into `mariadb`, on a server that runs already. */
function dump(server: MysqlServer): ByHand {
  const { dump: program, client, installDb } = server.tools;
  return {
    name: 'mariadb-dump | mariadb',
    copy: async (pair, signal) => {
      if (program === null || client === null || installDb === null)
        throw new Error('the client programs are not installed');
      const folder = join(pair.root, 'hand');
      await makeOwned(folder);
      const data = join(folder, 'copy');
      const socket = join(folder, 's');
      const ended = new AbortController();
      const install = [
        '--no-defaults',
        `--basedir=${server.baseDir}`,
        `--datadir=${data}`,
        '--auth-root-authentication-method=normal',
      ];
      await timeTool(installDb, install, { home: folder, signal });
      const running = [
        '--no-defaults',
        `--basedir=${server.baseDir}`,
        `--datadir=${data}`,
        `--socket=${socket}`,
        `--port=${await freePort()}`,
        '--innodb-buffer-pool-size=64M',
      ];
      const life = timeTool(server.tools.server, running, {
        home: folder,
        signal: AbortSignal.any([signal, ended.signal]),
      }).catch(() => 0);
      const options = join(folder, 'options.cnf');
      await ownedFile(
        options,
        `[client]\nuser=${mysqlAccounts.clone}\npassword=${pair.secret}\nhost=127.0.0.1\nport=${pair.source.port}\nprotocol=tcp\n`,
      );
      try {
        (await connected({ socketPath: socket, user: 'root' })).destroy();
        const pipe = `'${program}' --defaults-file='${options}' --all-databases --single-transaction --quick --hex-blob --max-allowed-packet=1G | '${client}' --no-defaults --socket='${socket}' --user=root --binary-mode --max-allowed-packet=1G`;
        return await timeTool('bash', ['-o', 'pipefail', '-c', pipe], { home: folder, signal });
      } finally {
        ended.abort();
        await life;
        await removeTree(folder);
      }
    },
  };
}

function ownedFile(path: string, text: string): Promise<void> {
  return replaceFile(path, text, serverUser(), { durability: 'cached' });
}
