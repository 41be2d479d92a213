import { codeOf } from '@understudy/base';
import mysql from 'mysql2';
import { outcomeOfNumber } from './mysql-outcome.ts';
import type { Answer, Row, Session, Statement, Target } from './session.ts';

/** A connection to MySQL or MariaDB. */
export class MysqlSession implements Session {
  readonly target: Target;
  readonly #connection: mysql.Connection;
  /** The history line of the server, once it was asked: a server that opens another one is another process. */
  line: number | null = null;
  #isOpen = true;
  #onClosed: (() => void) | null = null;

  private constructor(target: Target, connection: mysql.Connection) {
    this.target = target;
    this.#connection = connection;
    connection.on('error', () => this.destroy());
    connection.on('end', () => this.destroy());
  }

  /** Connects and logs in; null when that was not possible in time. */
  static async open(target: Target, timeoutMs: number): Promise<MysqlSession | null> {
    const { host, port, user, password, database, ca } = target;
    const connection = mysql.createConnection({
      ...(host.startsWith('/') ? { socketPath: host } : { host, port }),
      user,
      password,
      database,
      ...(ca === null ? {} : { ssl: { ca, verifyIdentity: true } }),
      connectTimeout: timeoutMs,
      charset: 'utf8mb4',
      // Values stay text: a sum of checksums must not become a float.
      typeCast: (field) => field.string(),
    });
    const session = new MysqlSession(target, connection);
    const timer = setTimeout(() => session.destroy(), timeoutMs);
    try {
      const connected = new Promise<void>((resolve, reject) => {
        connection.connect((error) => (error === null ? resolve() : reject(error)));
      });
      await Promise.race([connected, session.#closed()]);
      return session.#isOpen ? session : null;
    } catch {
      session.destroy();
      return null;
    } finally {
      clearTimeout(timer);
    }
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  async run({ text, values }: Statement, timeoutMs: number): Promise<Answer> {
    if (!this.#isOpen) return failure('CLOSED', 'the connection is closed', 'fail');
    const timer = setTimeout(() => this.destroy(), timeoutMs);
    try {
      const rows = await Promise.race([this.#query(text, values ?? []), this.#closed()]);
      if (rows === null) return failure('DEADLINE', `closed, or no answer within ${timeoutMs} ms`, 'info');
      return { kind: 'rows', rows, outcome: 'ok' };
    } catch (error) {
      const number = numberOf(error);
      const message = error instanceof Error ? error.message : String(error);
      return failure(number === null ? codeOf(error) : String(number), message, outcomeOfNumber(number));
    } finally {
      clearTimeout(timer);
    }
  }

  async rows(text: string, values: readonly unknown[] = [], timeoutMs = 10_000): Promise<readonly Row[]> {
    const answer = await this.run({ text, values }, timeoutMs);
    if (answer.kind === 'rows') return answer.rows;
    throw new Error(`${this.target.node}: ${answer.message}`);
  }

  destroy(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#connection.destroy();
    this.#onClosed?.();
  }

  #query(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return new Promise((resolve, reject) => {
      this.#connection.query<mysql.RowDataPacket[]>(text, [...values], (error, rows) => {
        if (error === null) resolve(Array.isArray(rows) ? rows : []);
        else reject(error);
      });
    });
  }

  /** Resolves with null when the connection is destroyed, so that nothing waits for an answer that cannot come. */
  #closed(): Promise<null> {
    if (!this.#isOpen) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.#onClosed = () => resolve(null);
    });
  }
}

function failure(code: string | null, message: string, outcome: 'fail' | 'info'): Answer {
  return { kind: 'error', outcome, error: { code, severity: null }, message };
}

/** The number of a server's error; null when it was the driver or the system that spoke. */
function numberOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('errno' in error) || typeof error.errno !== 'number') return null;
  return error.errno >= 1000 ? error.errno : null;
}
