import { codeOf, reasonOf, withDeadline } from '@understudy/base';
import { EngineError } from '@understudy/engine';
import { isSqlState } from '@understudy/engine/host';
import pg from 'pg';
import { ScramOnly } from './scram-only.ts';
import { wideSocket } from './wide-socket.ts';

export type Row = Readonly<Record<string, string | null>>;

/** How to reach a server. `role` of the connection: see `PgSession`. */
export interface SessionTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | null;
  readonly database: string;
  /**
   * `database`: a replication connection that also takes SQL (simple protocol). It uses a slot of `max_wal_senders`, so
   * clients that fill `max_connections` cannot keep it out. `physical`: for base backups. `none`: an ordinary one.
   */
  readonly replication: 'database' | 'physical' | 'none';
  readonly applicationName: string;
  /** Settings that the session states, see `sessionOptions`. */
  readonly options: string;
  /** PEM texts of the authority and of our own certificate and key, which the server asks for; null: not encrypted. */
  readonly ssl: {
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
    readonly verify: 'ca' | 'full';
  } | null;
}

// Every value stays text: callers know what they asked for, and a bigint must not become a float.
const asText = { getTypeParser: () => (value: string) => value };

/** One connection to a server, on which every step has a deadline; when one passes, the connection is thrown away. */
export class PgSession {
  readonly #client: pg.Client;
  readonly #target: SessionTarget;
  #state: 'open' | 'closed' = 'open';
  #onClose: (() => void) | undefined;

  private constructor(client: pg.Client, target: SessionTarget) {
    this.#client = client;
    this.#target = target;
  }

  /**
   * Connects.
   *
   * @param onClose called once when the connection, once it was made, ends, whoever ends it.
   * @throws EngineError `ENGINE_UNREACHABLE` or `ENGINE_LOGIN_FAILED`; `cause` is the driver's error.
   */
  static async open(target: SessionTarget, timeoutMs: number, onClose?: () => void): Promise<PgSession> {
    // Our own socket lets us in by the user that we are.
    const scram =
      target.password === null ? null : new ScramOnly(target.password, target.ssl === null ? 'plain' : 'tls');
    const config = {
      host: target.host,
      port: target.port,
      user: target.user,
      database: target.database,
      password: scram?.password ?? '',
      enableChannelBinding: target.ssl !== null,
      application_name: target.applicationName,
      options: target.options,
      types: asText,
      connectionTimeoutMillis: timeoutMs,
      ssl: tlsConfig(target.ssl),
      // Encrypted, the driver makes a socket above its own.
      ...(target.replication === 'physical' && target.ssl === null ? { stream: wideSocket } : {}),
      ...(target.replication === 'none'
        ? {}
        : { replication: target.replication === 'database' ? 'database' : 'true' }),
    };
    const client = new pg.Client(config);
    scram?.watch(client);
    const session = new PgSession(client, target);
    client.on('error', () => session.#closed());
    client.on('end', () => session.#closed());
    try {
      await withDeadline(client.connect(), timeoutMs, () => new Error(`no answer within ${timeoutMs} ms`));
      session.#onClose = onClose;
      return session;
    } catch (error) {
      session.destroy();
      throw connectError(target, error);
    }
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  #closed(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#onClose?.();
  }

  /** Runs one statement and returns its rows, every value as text. */
  async rows(sql: string, timeoutMs: number): Promise<readonly Row[]> {
    const results = await this.#run(sql, timeoutMs);
    return results.at(-1) ?? [];
  }

  /** The first row; an empty one when there is none. */
  async row(sql: string, timeoutMs: number): Promise<Row> {
    return (await this.rows(sql, timeoutMs))[0] ?? {};
  }

  async #run(sql: string, timeoutMs: number): Promise<readonly (readonly Row[])[]> {
    try {
      const answer: unknown = await withDeadline(this.#client.query(sql), timeoutMs, () => {
        this.destroy();
        return new EngineError('ENGINE_TIMEOUT', `The server did not answer a query within ${timeoutMs} ms.`);
      });
      const results = Array.isArray(answer) ? answer : [answer];
      return results.map((result: pg.QueryResult<Row>) => result.rows);
    } catch (error) {
      if (error instanceof EngineError) throw error;
      const code = codeOf(error);
      const kind = isSqlState(code) && !code.startsWith('57P') ? 'ENGINE_INTERNAL' : 'ENGINE_UNREACHABLE';
      throw new EngineError(kind, `${this.#target.host}: ${reasonOf(error)}`, { retry: 'unknown', cause: error });
    }
  }

  /** Hands the driver's connection to a command that the driver does not know (`BASE_BACKUP`). */
  submit<T extends pg.Submittable>(command: T): T {
    return this.#client.query(command);
  }

  /** Says goodbye, without waiting for long. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    await withDeadline(this.#client.end(), 300, () => new Error('late')).catch(() => this.destroy());
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#client.connection.stream.destroy();
    this.#client.end().catch(() => undefined);
  }
}

function tlsConfig(ssl: SessionTarget['ssl']) {
  if (ssl === null) return false;
  // With `verify: 'ca'` the authority must have signed the certificate, but it may name another host (libpq's verify-ca).
  const { verify, ...material } = ssl;
  return verify === 'full' ? material : { ...material, checkServerIdentity: () => undefined };
}

const loginCodes = new Set(['28000', '28P01', '42704']);

function connectError(target: SessionTarget, error: unknown): EngineError {
  const where = target.host.startsWith('/') ? `the server's socket in ${target.host}` : `${target.host}:${target.port}`;
  const login = loginCodes.has(codeOf(error) ?? '');
  const text = `Cannot connect to ${where} as ${target.user}: ${reasonOf(error)}.`;
  return new EngineError(login ? 'ENGINE_LOGIN_FAILED' : 'ENGINE_UNREACHABLE', text, { retry: 'safe', cause: error });
}

/** The SQLSTATE with which a server refused a connection or a statement; undefined when it did not answer at all. */
export function sqlStateOf(error: unknown): string | undefined {
  const direct = codeOf(error instanceof EngineError ? error.cause : error);
  return isSqlState(direct) ? direct : undefined;
}
