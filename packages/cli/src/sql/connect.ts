import pg from 'pg';
import { codeOf } from '../errors.ts';
import { type Login, loginRefused } from './login.ts';

export interface Host {
  /** Name of the member. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** An open session with one server. */
export interface Session {
  readonly host: Host;
  readonly client: pg.Client;
}

const loginErrors = new Set(['28P01', '28000']);

/**
 * Opens a session with one server. The caller ends it; it never throws by itself afterwards.
 *
 * @throws CliError `REFUSED` when the login is wrong; otherwise whatever the driver says
 */
export async function connect(host: Host, login: Login, timeoutMs: number): Promise<Session> {
  const client = new pg.Client({
    host: host.host,
    port: host.port,
    user: login.user,
    database: login.database,
    ...(login.password === null ? {} : { password: login.password }),
    ...(login.ca === null ? {} : { ssl: { ca: login.ca } }),
    connectionTimeoutMillis: timeoutMs,
    application_name: 'understudy',
  });
  // A connection that breaks is noticed by whoever uses it next.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return { host, client };
  } catch (error) {
    await close(client);
    throw loginErrors.has(codeOf(error) ?? '') ? loginRefused(login.user, error) : error;
  }
}

/** Ends a session without waiting for a server that may be frozen. */
export async function close(client: pg.Client): Promise<void> {
  const ended = client.end().catch(() => undefined);
  const late = new Promise<void>((resolve) => {
    setTimeout(() => {
      // The driver has no other way to drop a connection that does not answer.
      destroySocket(client);
      resolve();
    }, 300).unref();
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

/** Asks all hosts at once and keeps the session of the one that is open for writes; null when none is. */
export async function connectToPrimary(
  hosts: readonly Host[],
  login: Login,
  timeoutMs: number,
): Promise<Session | null> {
  const attempts = await Promise.allSettled(
    hosts.map(async (host) => {
      const session = await connect(host, login, timeoutMs);
      const isPrimary = await writable(session, timeoutMs).catch(() => false);
      if (isPrimary) return session;
      await close(session.client);
      return null;
    }),
  );
  const found = attempts.flatMap((attempt) =>
    attempt.status === 'fulfilled' && attempt.value !== null ? [attempt.value] : [],
  );
  const [first, ...others] = found;
  for (const { client } of others) await close(client);
  if (first !== undefined) return first;
  const refused = attempts.find((attempt) => attempt.status === 'rejected' && codeOf(attempt.reason) === 'REFUSED');
  if (refused?.status === 'rejected') throw refused.reason;
  return null;
}

async function writable({ client }: Session, timeoutMs: number): Promise<boolean> {
  const asked = client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  return withDeadline(asked, timeoutMs).then(({ rows }) => rows[0]?.standby === false);
}

/** @throws Error when `work` is not done in time; what becomes of it then is the caller's business */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    // It may still fail after the deadline; nobody waits for it then.
    work.catch(() => undefined);
  }
}
