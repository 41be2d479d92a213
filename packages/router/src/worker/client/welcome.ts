/** From an accepted connection to a session: who it is, what it asks for, and what a server says to that. */

import type { Socket } from 'node:net';
import {
  type ErrorFields,
  encodeAuthentication,
  encodeError,
  encodeServerMessage,
  type LoginKeys,
  STATUS,
  WireError,
} from '@understudy/wire/postgres';
import type { WorkerConfig } from '../../config/config.ts';
import type { Wanted } from '../../topology/view.ts';
import { CONSOLE_DATABASES } from '../admin/databases.ts';
import type { Batch } from '../batch.ts';
import type { CancelKeys } from '../cancel.ts';
import type { Pool, Waiter } from '../pool/pool.ts';
import { cleanUp } from '../server/clean-up.ts';
import type { ServerConnection } from '../server/server-connection.ts';
import type { ClientTls } from './client-login.ts';
import { prove, receive, secretOf, versionAnswer } from './client-login.ts';
import { ClientSession, type SessionHost } from './client-session.ts';
import { SessionSettings, type Settings, startupSettings } from './session-settings.ts';
import { type Found, standInVerifier, type Verifiers } from './verifiers.ts';

/** What of its worker a login needs. */
export interface LoginHost {
  readonly config: WorkerConfig;
  readonly tls: ClientTls | null;
  readonly batch: Batch;
  readonly verifiers: Verifiers;
  readonly cancels: CancelKeys;
  readonly counts: { refusedLogins: number };
  cancelBy(processId: number, secret: Buffer): void;
  remember(user: string, keys: LoginKeys): void;
  group(user: string, database: string): { readonly pool: Pool };
  host(user: string, database: string, processId: number, onEnded: () => void): SessionHost;
}

/** A client that may come in. */
export type Welcome = ConsoleWelcome | SessionWelcome;

export interface ConsoleWelcome {
  readonly kind: 'admin';
  readonly socket: Socket;
}

export interface SessionWelcome {
  readonly kind: 'session';
  readonly socket: Socket;
  readonly isEncrypted: boolean;
  /** Makes the session on the socket that reads for it. */
  readonly session: (socket: Socket, onEnded: () => void) => ClientSession;
}

class Refusal extends Error {
  readonly fields: ErrorFields;

  constructor(code: string, message: string, hint?: string) {
    super(message);
    this.fields = { severity: 'FATAL', code, message, ...(hint === undefined ? {} : { hint }) };
  }
}

/**
 * @returns null when the connection is over: a cancel, or a refusal that was said
 * @throws what the connection broke with
 */
export async function logIn(worker: LoginHost, socket: Socket, wanted: Wanted): Promise<Welcome | null> {
  const deadline = setTimeout(() => socket.destroy(), worker.config.loginMs);
  let current = socket;
  try {
    const arrival = await receive(socket, worker.tls);
    current = arrival.socket;
    if (arrival.kind === 'cancel') {
      worker.cancelBy(arrival.processId, arrival.secret);
      arrival.socket.end();
      return null;
    }
    return await admit(worker, arrival, wanted);
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof WireError)) throw error;
    worker.counts.refusedLogins++;
    const fields: ErrorFields =
      error instanceof Refusal ? error.fields : { severity: 'FATAL', code: '08P01', message: error.message };
    current.end(encodeError(fields));
    current.setTimeout(2_000, () => current.destroy());
    return null;
  } finally {
    clearTimeout(deadline);
  }
}

const gone = (): WireError => new WireError('unexpected', 'the client left during its login');

type StartupArrival = Extract<Awaited<ReturnType<typeof receive>>, { kind: 'startup' }>;

async function admit(worker: LoginHost, arrival: StartupArrival, wanted: Wanted): Promise<Welcome | null> {
  const { packet, socket, isEncrypted } = arrival;
  const answer = versionAnswer(packet);
  if (answer !== null) socket.write(answer);
  if (worker.tls?.required === true && !isEncrypted) {
    throw new Refusal('28000', 'connections without TLS are not allowed here');
  }
  const user = packet.parameters.get('user') ?? '';
  const database = packet.parameters.get('database') ?? user;
  if (user === '') throw new Refusal('28000', 'no PostgreSQL user name specified in startup packet');
  const replication = packet.parameters.get('replication');
  if (replication !== undefined && !/^(false|off|no|0)$/i.test(replication)) {
    throw new Refusal('0A000', 'replication connections do not go through the router', 'Connect to the server itself.');
  }
  const settings = settingsOf(packet.parameters);
  await authenticate(worker, socket, user, isEncrypted);
  if (CONSOLE_DATABASES.has(database)) {
    if (user !== worker.config.auth.user) throw new Refusal('42501', "only the router's own user may use its console");
    return { kind: 'admin', socket };
  }
  const { pooling } = worker.config;
  const secret = secretOf(packet.version);
  const { parameters } = await firstServer(worker, socket, user, database, wanted, settings);
  if (socket.destroyed) throw gone();
  const processId = worker.cancels.add(secret);
  socket.write(greeting(parameters, processId, secret));
  return {
    kind: 'session',
    socket,
    isEncrypted,
    session: (own, onEnded) => {
      const host = worker.host(user, database, processId, onEnded);
      const session = new ClientSession({ host, socket: own, user, database, settings, wanted, pooling });
      for (const [name, value] of parameters) session.parameter(name, value);
      worker.cancels.assign(processId, session);
      return session;
    },
  };
}

function settingsOf(parameters: ReadonlyMap<string, string>): Settings {
  try {
    return startupSettings(parameters);
  } catch (error) {
    throw new Refusal('42704', error instanceof Error ? error.message : String(error));
  }
}

async function authenticate(worker: LoginHost, socket: Socket, user: string, isEncrypted: boolean): Promise<void> {
  const failed = (): Refusal => new Refusal('28P01', `password authentication failed for user "${user}"`);
  const found = await worker.verifiers.of(user).catch((error: unknown): never => {
    const text = error instanceof Error ? error.message : String(error);
    throw new Refusal('57P03', `no server could be asked about user "${user}": ${text}`, 'Try again.');
  });
  if (found.kind === 'unusable') {
    const hint = 'Set its password again while password_encryption is scram-sha-256.';
    throw new Refusal('28P01', `user "${user}" has no SCRAM-SHA-256 password, which the router needs`, hint);
  }
  const endPoint = isEncrypted ? (worker.tls?.endPoint ?? null) : null;
  const verifier = verifierFor(worker, user, found);
  try {
    const keys = await prove(socket, verifier, endPoint);
    if (found.kind !== 'verifier') throw failed();
    worker.remember(user, keys);
  } catch (error) {
    if (!(error instanceof WireError) || error.code !== 'auth-failed') throw error;
    // The password may have been changed a moment ago.
    worker.verifiers.forget(user);
    throw failed();
  }
}

function verifierFor(worker: LoginHost, user: string, found: Found): Parameters<typeof prove>[1] {
  return found.kind === 'verifier' ? found.verifier : standInVerifier(user, Buffer.from(worker.config.secret, 'hex'));
}

/** A server's word on database, user and settings, and the parameters that it reports with them. */
export function firstServer(
  worker: Pick<LoginHost, 'group' | 'batch'>,
  socket: Socket,
  user: string,
  database: string,
  wanted: Wanted,
  settings: Settings,
): Promise<{ readonly parameters: ReadonlyMap<string, string> }> {
  const { pool } = worker.group(user, database);
  const text = new SessionSettings(settings).text;
  if (socket.destroyed) return Promise.reject(gone());
  return new Promise((done, fail) => {
    const use = (server: ServerConnection): void => {
      const steps =
        server.settings === text
          ? []
          : [...(server.settings === '' ? [] : ['DISCARD ALL']), ...(text === '' ? [] : [text])];
      cleanUp(server, steps, (error) => {
        if (error !== null) {
          server.close();
          fail(new Refusal(error.code, error.message));
          return;
        }
        server.settings = text;
        const parameters = new Map(server.parameters);
        parameters.set('in_hot_standby', 'off');
        pool.release(server);
        worker.batch.flush();
        done({ parameters });
      });
    };
    const server = pool.acquire(wanted);
    if (server !== null) {
      use(server);
      return;
    }
    const waiter: Waiter = {
      wanted,
      sinceMs: performance.now(),
      bytes: 0,
      take: use,
      refuse: (error) => fail(new Refusal(error.code, error.message, error.hint)),
    };
    // Its deadline has passed, or it went away: nobody may wait in its name, nor count it any longer.
    socket.once('close', () => {
      pool.leave(waiter);
      fail(gone());
    });
    pool.wait(waiter);
  });
}

function greeting(parameters: ReadonlyMap<string, string>, processId: number, secret: Buffer): Buffer {
  return Buffer.concat([
    encodeAuthentication({ kind: 'ok' }),
    ...[...parameters].map(([name, value]) => encodeServerMessage({ kind: 'parameter-status', name, value })),
    encodeServerMessage({ kind: 'backend-key-data', processId, secret }),
    encodeServerMessage({ kind: 'ready-for-query', status: STATUS.idle }),
  ]);
}
