import { join } from 'node:path';
import { findPostgres, reachablePostgres, serverUser } from '@understudy/servers';
import { freePort } from '../bench/clone/pair.ts';
import { timeTool } from '../bench/clone/tool.ts';
import { PostgresSession } from '../database/postgres-session.ts';
import type { Session, Target } from '../database/session.ts';
import {
  awaitOf,
  type BareEngine,
  type BarePair,
  BareServer,
  copyFolder,
  ownFile,
  ownFolder,
  readyMs,
} from './bare.ts';

/** With the default of 5 s a standby whose stream has just broken now and then waited that long before it was promoted. */
const settings = [
  'max_wal_senders=4',
  'shared_buffers=64MB',
  'listen_addresses=127.0.0.1',
  'wal_retrieve_retry_interval=100ms',
];

/** PostgreSQL by itself: `initdb`, a standby by a copy of the files, `pg_promote()`. */
export async function barePostgres(
  options: { readonly version?: string; readonly binDir?: string },
  signal: AbortSignal,
): Promise<BareEngine> {
  const { binDir } = await reachablePostgres(await findPostgres(options), serverUser());
  const program = join(binDir, 'postgres');

  const start = (folder: string, port: number): BareServer => {
    const all = [...settings, `port=${port}`, `unix_socket_directories=${folder}`];
    return BareServer.start(program, ['-D', folder, ...all.flatMap((setting) => ['-c', setting])], folder);
  };
  const target = (folder: string, port: number): Target => {
    return { node: 'bare', host: folder, port, user: 'postgres', password: '', database: 'postgres', ca: null };
  };
  const connect = (server: BareServer, folder: string, port: number): Promise<Session> =>
    awaitOf('login', server, signal, () => PostgresSession.open(target(folder, port), 1000));

  return {
    async prepare(folder) {
      const template = join(folder, 'template');
      await ownFolder(template);
      const init = [
        '-D',
        template,
        '-U',
        'postgres',
        '-A',
        'trust',
        '-k',
        '--no-sync',
        '--no-instructions',
        '--locale=C',
      ];
      await timeTool(join(binDir, 'initdb'), init, { home: folder, signal });
      const port = await freePort();
      const server = start(template, port);
      try {
        const session = await connect(server, template, port);
        await session.rows('create table rows (id bigint generated always as identity primary key)');
        session.destroy();
      } finally {
        await server.stop('SIGINT');
      }
    },

    async open(folder) {
      const [primaryDir, standbyDir] = [join(folder, 'a'), join(folder, 'b')];
      const [primaryPort, standbyPort] = [await freePort(), await freePort()];
      await copyFolder(join(folder, 'template'), primaryDir);
      await copyFolder(join(folder, 'template'), standbyDir);
      await ownFile(join(standbyDir, 'standby.signal'), '');
      const conninfo = `primary_conninfo = 'host=127.0.0.1 port=${primaryPort} user=postgres'\n`;
      await ownFile(join(standbyDir, 'postgresql.auto.conf'), conninfo);
      const servers = [start(primaryDir, primaryPort), start(standbyDir, standbyPort)] as const;
      const [primary, standby] = servers;
      const sessions: Session[] = [];
      const close = async (): Promise<void> => {
        for (const session of sessions) session.destroy();
        await Promise.all(servers.map((server) => server.end()));
      };
      try {
        const leader = await connect(primary, primaryDir, primaryPort);
        sessions.push(leader);
        const [promoter, writer] = [
          await connect(standby, standbyDir, standbyPort),
          await connect(standby, standbyDir, standbyPort),
        ];
        sessions.push(promoter, writer);
        await leader.rows('insert into rows select from generate_series(1, 100)');
        await awaitOf('row on the standby', standby, signal, async () => {
          const [row] = await writer.rows('select count(*) as rows from rows');
          return Number(row?.rows) === 100 ? true : null;
        });
        return {
          writer,
          kill: () => primary.kill(),
          promote: async () => void (await promoter.rows('select pg_promote(true, 60)', [], readyMs)),
          close,
        } satisfies BarePair;
      } catch (error) {
        await close();
        throw error;
      }
    },
  };
}
