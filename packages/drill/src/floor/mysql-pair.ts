import { join } from 'node:path';
import { removeFile } from '@understudy/engine/host';
import { findMysql, type MysqlServer, reachableMysql, serverUser } from '@understudy/servers';
import { freePort } from '../bench/clone/pair.ts';
import { timeTool } from '../bench/clone/tool.ts';
import { MysqlSession } from '../database/mysql-session.ts';
import type { Session, Target } from '../database/session.ts';
import { awaitOf, type BareEngine, type BarePair, BareServer, copyFolder, ownFolder } from './bare.ts';

type Flavour = 'mysql' | 'mariadb';

/** What the two products call differently. */
interface Spelling {
  readonly settings: readonly string[];
  readonly follow: (port: number) => readonly string[];
}

const password = 'bare-and-local';

const spellings: Readonly<Record<Flavour, Spelling>> = {
  mysql: {
    settings: ['--mysqlx=OFF', '--gtid-mode=ON', '--enforce-gtid-consistency=ON', '--secure-file-priv=NULL'],
    follow: (port) => [
      `change replication source to source_host = '127.0.0.1', source_port = ${port}, source_user = 'follow', source_password = '${password}',
       source_auto_position = 1, get_source_public_key = 1`,
      'start replica',
    ],
  },
  mariadb: {
    settings: ['--gtid-strict-mode=ON', '--log-slave-updates=ON'],
    follow: (port) => [
      `change master to master_host = '127.0.0.1', master_port = ${port}, master_user = 'follow', master_password = '${password}',
       master_use_gtid = slave_pos`,
      'start slave',
    ],
  },
};

/** MySQL or MariaDB by itself: a replica by GTID from the first row on, `set global read_only = off`. */
export async function bareMysql(
  flavour: Flavour,
  options: { readonly version?: string; readonly binDir?: string },
  signal: AbortSignal,
): Promise<BareEngine> {
  const server = await reachableMysql(await findMysql({ flavour, ...options }), serverUser());
  const { settings, follow } = spellings[flavour];

  const start = (folder: string, port: number, number: number, more: readonly string[] = []): BareServer =>
    BareServer.start(
      server.tools.server,
      [
        '--no-defaults',
        `--basedir=${server.baseDir}`,
        `--datadir=${join(folder, 'data')}`,
        `--socket=${join(folder, 's')}`,
        `--pid-file=${join(folder, 'pid')}`,
        `--port=${port}`,
        '--bind-address=127.0.0.1',
        `--server-id=${number}`,
        '--log-bin=bin',
        '--relay-log=relay',
        '--performance-schema=OFF',
        '--innodb-buffer-pool-size=64M',
        ...asRoot(),
        ...settings,
        ...more,
      ],
      folder,
    );
  const connect = (of: BareServer, folder: string, user: string, secret = ''): Promise<Session> => {
    const target: Target = {
      node: 'bare',
      host: join(folder, 's'),
      port: 0,
      user,
      password: secret,
      database: user === 'app' ? 'bare' : 'mysql',
      ca: null,
    };
    return awaitOf('login', of, signal, () => MysqlSession.open(target, 1000));
  };

  return {
    async prepare(folder) {
      const template = join(folder, 'template');
      await ownFolder(template);
      await install(server, template, signal);
      const first = start(template, await freePort(), 1);
      try {
        const session = await connect(first, template, 'root');
        for (const statement of [
          `create user follow@'%' identified by '${password}'`,
          "grant replication slave on *.* to follow@'%'",
          `create user app@localhost identified by '${password}'`,
          'create database bare',
          'grant all on bare.* to app@localhost',
          'create table bare.rows (id bigint auto_increment primary key)',
          // Both begin with the same data and no log of it.
          flavour === 'mysql' ? 'reset binary logs and gtids' : 'reset master',
        ])
          await session.rows(statement);
        session.destroy();
      } finally {
        await first.stop('SIGTERM');
      }
    },

    async open(folder) {
      const [primaryDir, standbyDir] = [join(folder, 'a'), join(folder, 'b')];
      const [primaryPort, standbyPort] = [await freePort(), await freePort()];
      for (const each of [primaryDir, standbyDir]) await copyFolder(join(folder, 'template'), each);
      await removeFile(join(standbyDir, 'data', 'auto.cnf'));
      const servers = [
        start(primaryDir, primaryPort, 1),
        start(standbyDir, standbyPort, 2, ['--read-only=ON']),
      ] as const;
      const [primary, standby] = servers;
      const sessions: Session[] = [];
      const close = async (): Promise<void> => {
        for (const session of sessions) session.destroy();
        await Promise.all(servers.map((each) => each.end()));
      };
      try {
        const leader = await connect(primary, primaryDir, 'app', password);
        const promoter = await connect(standby, standbyDir, 'root');
        const writer = await connect(standby, standbyDir, 'app', password);
        sessions.push(leader, promoter, writer);
        for (const statement of follow(primaryPort)) await promoter.rows(statement);
        for (let row = 0; row < 20; row += 1) await leader.rows('insert into bare.rows () values ()');
        await awaitOf('row on the replica', standby, signal, async () => {
          const [row] = await writer.rows('select count(*) as n from bare.rows');
          return Number(row?.n) === 20 ? true : null;
        });
        return {
          writer,
          kill: () => primary.kill(),
          promote: async () => void (await promoter.rows('set global read_only = off')),
          close,
        } satisfies BarePair;
      } catch (error) {
        await close();
        throw error;
      }
    },
  };
}

/** As root and without another user, the server runs only when it is told so. */
const asRoot = (): readonly string[] => (process.getuid?.() === 0 && serverUser() === null ? ['--user=root'] : []);

async function install(server: MysqlServer, folder: string, signal: AbortSignal): Promise<void> {
  const base = ['--no-defaults', `--basedir=${server.baseDir}`, `--datadir=${join(folder, 'data')}`];
  const { installDb } = server.tools;
  if (server.flavour === 'mysql') {
    const args = [...base, '--initialize-insecure', '--mysqlx=OFF', '--secure-file-priv=NULL'];
    await timeTool(server.tools.server, args, { home: folder, signal });
  } else if (installDb !== null) {
    const args = [...base, '--auth-root-authentication-method=normal', '--skip-test-db'];
    await timeTool(installDb, args, { home: folder, signal });
  } else throw new Error(`${server.version} has no program that makes a new database`);
}
