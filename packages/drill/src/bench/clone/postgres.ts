import { join } from 'node:path';
import { removeTree } from '@understudy/engine/host';
import { createPostgresEngine } from '@understudy/postgres';
import { findPostgres, reachablePostgres, serverUser } from '@understudy/servers';
import pg from 'pg';
import type { MakeEngine, Pair } from './pair.ts';
import type { ByHand, Subject } from './subject.ts';
import { timeTool } from './tool.ts';

const rowBytes = 4096;

/** PostgreSQL on this machine. @throws ServersError when there is none */
export async function postgresSubject(version = '17'): Promise<Subject> {
  const server = await reachablePostgres(await findPostgres({ version }), serverUser());
  const user = serverUser();
  const make: MakeEngine = (place, _root, secret) =>
    createPostgresEngine({
      cluster: 'bench',
      member: place.name,
      dataDir: place.dataDir,
      runDir: place.runDir,
      listen: { host: '127.0.0.1', port: place.port },
      binaries: { binDir: server.binDir },
      runAs: user === null ? null : { uid: user.uid, gid: user.gid },
      secrets: { superuser: secret, replication: secret, rewind: secret, monitor: secret },
      parameters: { max_wal_size: '4GB' },
    });
  const { pgBasebackup } = server.tools;
  const byHand = pgBasebackup === null ? [] : [baseBackup(pgBasebackup)];
  return { name: `postgres ${server.version}`, make, fill, byHand };
}

async function fill(pair: Pair, bytes: number): Promise<void> {
  const client = new pg.Client({
    host: pair.source.runDir,
    port: pair.source.port,
    user: 'postgres',
    database: 'postgres',
    password: pair.secret,
  });
  await client.connect();
  try {
    await client.query('create table large (id bigint primary key, number int, text bytea)');
    await client.query('alter table large alter column text set storage external');
    const noise = `decode(repeat(md5(random()::text || i), ${rowBytes / 16}), 'hex')`;
    await client.query(
      `insert into large select i, i * 7 % 100003, ${noise} from generate_series(1, ${Math.ceil(bytes / rowBytes)}) i`,
    );
    await client.query('create index on large (number)');
    await client.query('checkpoint');
  } finally {
    await client.end();
  }
}

function baseBackup(program: string): ByHand {
  return {
    name: 'pg_basebackup',
    copy: async (pair, signal) => {
      const folder = join(pair.root, 'hand');
      const from = ['-h', '127.0.0.1', '-p', String(pair.source.port), '-U', 'understudy_replication'];
      try {
        const env = { PGPASSWORD: pair.secret };
        return await timeTool(program, [...from, '-D', folder, '-X', 'stream', '-c', 'fast'], {
          home: pair.root,
          env,
          signal,
        });
      } finally {
        await removeTree(folder);
      }
    },
  };
}
