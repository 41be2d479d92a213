import { codeOf, reasonOf, withDeadline } from '@understudy/base';
import { EngineError } from '@understudy/engine';
import { isLoopback } from '@understudy/engine/host';
import mysql from 'mysql2';
import { serverErrorOf } from '../errors.ts';
import { passSeam, type Seam } from '../seam.ts';
import { answersFor, type Reach, type SessionTls, takeHandshake } from './encryption.ts';
import { sessionSetup } from './setup.ts';

/** One row of an answer: every value as the server writes it, null for NULL. */
export type Row = Readonly<Record<string, string | null>>;

/** One connection to a server. Every statement has a deadline; after a failure of the connection it is of no use any more. */
export interface Session {
  readonly threadId: number;
  /** Runs one statement and returns its rows (none for a statement without an answer). `values` fill its `?` places. */
  query(
    statement: string,
    values?: readonly (string | number | bigint | null)[],
    deadlineMs?: number,
  ): Promise<readonly Row[]>;
  end(): Promise<void>;
}

/** How to reach a server. */
export interface SessionTarget {
  readonly at:
    | { readonly kind: 'socket'; readonly path: string }
    | { readonly kind: 'tcp'; readonly host: string; readonly port: number };
  readonly user: string;
  readonly password: string;
  /** Null: not encrypted. */
  readonly tls: SessionTls | null;
  /** Without TLS: where a password may go out that a server may need in full; `loopback` unless it is said. */
  readonly plain?: 'loopback' | 'anywhere';
  /** For tests; see `Seam`. */
  readonly seam?: Seam | undefined;
}

export const defaultDeadlineMs = 2000;

/** One connection over the driver; a statement that outlives its deadline takes the connection with it. */
export class ServerSession implements Session {
  readonly #connection: mysql.Connection;
  readonly #where: string;
  readonly #seam: Seam | undefined;
  #state: 'open' | 'closed' = 'open';
  #onClose: (() => void) | undefined;
  /** Statements under way: the driver never answers those of a connection that we cut ourselves. */
  readonly #pending = new Set<(reason: Error) => void>();

  private constructor(connection: mysql.Connection, where: string, seam: Seam | undefined) {
    this.#connection = connection;
    this.#where = where;
    this.#seam = seam;
  }

  /**
   * Connects.
   *
   * @throws EngineError `ENGINE_UNREACHABLE` or `ENGINE_LOGIN_FAILED`; `cause` is the driver's error.
   */
  static async open(target: SessionTarget, timeoutMs: number): Promise<ServerSession> {
    const connection = mysql.createConnection({
      ...(target.at.kind === 'socket'
        ? { socketPath: target.at.path }
        : { host: target.at.host, port: target.at.port }),
      user: target.user,
      password: target.password,
      connectTimeout: timeoutMs,
      ...(target.tls === null ? {} : { ssl: { ca: target.tls.ca, verifyIdentity: true } }),
      authPlugins: answersFor(reachOf(target)),
      charset: 'utf8mb4',
      // Values stay text: callers know what they asked for, and a big number must not become a float.
      typeCast: (field) => field.string(),
    });
    const where = target.at.kind === 'socket' ? `the socket ${target.at.path}` : `${target.at.host}:${target.at.port}`;
    const session = new ServerSession(connection, where, target.seam);
    connection.on('error', () => session.#closed());
    connection.on('end', () => session.#closed());
    const { at, tls } = target;
    const handshake = tls === null || at.kind === 'socket' ? null : takeHandshake(connection, at.host, tls);
    try {
      await withDeadline(connected(connection), timeoutMs, () => new Error(`no answer within ${timeoutMs} ms`));
      if (handshake?.() === 'not made') throw new Error('the driver made a connection without the handshake of TLS');
      for (const statement of sessionSetup) await session.query(statement, [], timeoutMs);
    } catch (error) {
      session.destroy();
      throw connectError(where, target.user, error);
    }
    return session;
  }

  /** Calls back once when the connection ends, whoever ends it. */
  onClose(listener: () => void): void {
    this.#onClose = listener;
  }

  get threadId(): number {
    return this.#connection.threadId ?? 0;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  #closed(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    for (const reject of this.#pending) reject(lost(this.#where));
    this.#pending.clear();
    this.#onClose?.();
  }

  /**
   * @throws EngineError `ENGINE_TIMEOUT` (the connection is cut then), `ENGINE_UNREACHABLE` when it was lost, `ENGINE_INTERNAL`
   *   when the server refused the statement: `serverErrorOf` has its number.
   */
  async query(
    statement: string,
    values: readonly (string | number | bigint | null)[] = [],
    deadlineMs = defaultDeadlineMs,
  ): Promise<readonly Row[]> {
    if (this.#state === 'closed') throw lost(this.#where);
    const fate = this.#seam?.(statement) ?? 'go';
    if (fate === 'die') passSeam(() => fate, statement);
    try {
      const answer = this.#run(statement, values);
      const waitMs = fate === 'lose' ? 0 : deadlineMs;
      return await withDeadline(answer, waitMs, () => {
        const text = `The server at ${this.#where} did not answer a statement within ${deadlineMs} ms.`;
        return new EngineError('ENGINE_TIMEOUT', text);
      });
    } catch (error) {
      if (error instanceof EngineError && error.code === 'ENGINE_TIMEOUT') this.destroy();
      throw this.#statementError(error);
    }
  }

  /** What went wrong, without the statement: it may hold a password. */
  #statementError(error: unknown): EngineError {
    if (error instanceof EngineError) return error;
    const number = serverErrorOf(error);
    if (number === undefined) this.#closed();
    const kind = number === undefined ? 'ENGINE_UNREACHABLE' : 'ENGINE_INTERNAL';
    const cause = number === undefined ? error : withoutStatement(error);
    return new EngineError(kind, `The server at ${this.#where}: ${reasonOf(error)}`, { retry: 'unknown', cause });
  }

  #run(statement: string, values: readonly (string | number | bigint | null)[]): Promise<readonly Row[]> {
    // A bigint is written as it is; the driver would make text of it.
    const filled = values.map((value) => (typeof value === 'bigint' ? mysql.raw(String(value)) : value));
    return new Promise((resolve, reject) => {
      this.#pending.add(reject);
      this.#connection.query(statement, filled, (error: Error | null, result: unknown) => {
        this.#pending.delete(reject);
        if (error !== null) reject(error);
        else resolve(Array.isArray(result) ? result.map(asRow) : []);
      });
    });
  }

  /** Says goodbye, without waiting for long. */
  async end(): Promise<void> {
    if (this.#state === 'closed') return;
    const said = new Promise<void>((resolve) => this.#connection.end(() => resolve()));
    await withDeadline(said, 300, () => new Error('late')).catch(() => undefined);
    this.destroy();
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#connection.destroy();
    this.#closed();
  }
}

function reachOf({ at, tls, plain }: SessionTarget): Reach {
  if (at.kind === 'socket' || tls !== null) return 'proven';
  return plain === 'anywhere' || isLoopback(at.host) ? 'this machine' : 'nowhere';
}

function connected(connection: mysql.Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.connect((error) => (error === null ? resolve() : reject(error)));
  });
}

function asRow(value: unknown): Row {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return Object.fromEntries(entries.map(([name, one]) => [name, one === null ? null : String(one)]));
}

/** The driver's error has the whole statement in it. */
function withoutStatement(error: unknown): Error {
  const errno = serverErrorOf(error);
  return Object.assign(new Error(reasonOf(error)), { errno, code: codeOf(error) });
}

function lost(where: string): EngineError {
  return new EngineError('ENGINE_UNREACHABLE', `The connection to the server at ${where} has ended.`, {
    retry: 'unknown',
  });
}

/** Access denied, no such account, account locked, password expired. */
const loginErrors = new Set([1045, 1130, 1698, 3118, 4151, 1862, 1820]);

function connectError(where: string, user: string, error: unknown): EngineError {
  const number = serverErrorOf(error);
  const code = number !== undefined && loginErrors.has(number) ? 'ENGINE_LOGIN_FAILED' : 'ENGINE_UNREACHABLE';
  const inner = error instanceof EngineError ? error.cause : error;
  const text = `Cannot connect to ${where} as ${user}: ${reasonOf(inner ?? error)}.`;
  return new EngineError(code, text, { retry: 'safe', cause: inner ?? error });
}
