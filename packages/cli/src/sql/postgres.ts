import { type ConnectionOptions, checkServerIdentity, type PeerCertificate } from 'node:tls';
import { codeOf } from '@understudy/base';
import { isSqlState } from '@understudy/engine/host';
import { ScramOnly } from '@understudy/postgres/login';
import pg from 'pg';
import { type Login, loginRefused, passwordWithheld } from './login.ts';
import { type Driver, goodbyeMs, type Host, type Result, type Session } from './session.ts';

const loginErrors = new Set(['28P01', '28000']);

export const postgresDriver: Driver = {
  probe: {
    create:
      'create table if not exists understudy_probe (run uuid, n bigint, at timestamptz default now(), primary key (run, n))',
    insert: 'insert into understudy_probe (run, n) values ($1, $2)',
    select: 'select n from understudy_probe where run = $1',
    drop: 'drop table if exists understudy_probe',
  },
  connect: openSession,
  // Class 57P: the server ended the session, which may come after the commit record.
  isRefusal: (error) => isSqlState(codeOf(error)) && codeOf(error)?.startsWith('57P') === false,
};

/** The driver itself would compare the certificate with "localhost" when the server is named by an address. */
function tlsTo(host: string, ca: string, verify: Login['verify']): ConnectionOptions {
  const isNamed = (_name: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate);
  return { ca, checkServerIdentity: verify === 'ca' ? () => undefined : isNamed };
}

async function openSession(host: Host, login: Login, timeoutMs: number): Promise<Session> {
  const guard = new ScramOnly(login.password, login.ca === null ? 'plain' : 'tls');
  const client = new pg.Client({
    host: host.host,
    port: host.port,
    user: login.user,
    database: login.database,
    ...(login.password === null ? {} : { password: guard.password }),
    enableChannelBinding: login.ca !== null,
    ...(login.ca === null ? {} : { ssl: tlsTo(host.host, login.ca, login.verify) }),
    connectionTimeoutMillis: timeoutMs,
    application_name: 'understudy',
  });
  // A connection that breaks is noticed by whoever uses it next.
  client.on('error', () => undefined);
  guard.watch(client);
  try {
    await client.connect();
  } catch (error) {
    await close(client);
    if (guard.refusal !== null) throw passwordWithheld(login.user, `${host.host}:${host.port}`, guard.refusal);
    throw loginErrors.has(codeOf(error) ?? '') ? loginRefused(login.user, error) : error;
  }
  return {
    host,
    run: (text) => run(client, text),
    query: async (text, values) => (await client.query<Record<string, unknown>>(text, [...values])).rows,
    isWritable: async () => {
      const { rows } = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
      return rows[0]?.standby === false;
    },
    close: () => close(client),
  };
}

async function run(client: pg.Client, text: string): Promise<readonly Result[]> {
  const answer: pg.QueryArrayResult | pg.QueryArrayResult[] = await client.query({ text, rowMode: 'array' });
  const answers: readonly pg.QueryArrayResult[] = Array.isArray(answer) ? answer : [answer];
  return answers.map(({ command, rowCount, fields, rows }) => ({
    command,
    rowCount,
    columns: fields.map(({ name }) => name),
    rows,
  }));
}

async function close(client: pg.Client): Promise<void> {
  const ended = client.end().catch(() => undefined);
  const late = new Promise<void>((resolve) => {
    setTimeout(() => {
      // The driver has no other way to drop a connection that does not answer.
      destroySocket(client);
      resolve();
    }, goodbyeMs).unref();
  });
  await Promise.race([ended, late]);
}

function destroySocket(client: pg.Client): void {
  const connection: unknown = Reflect.get(client, 'connection');
  if (typeof connection !== 'object' || connection === null || !('stream' in connection)) return;
  const { stream } = connection;
  if (typeof stream === 'object' && stream !== null && 'destroy' in stream && typeof stream.destroy === 'function') {
    stream.destroy();
  }
}
