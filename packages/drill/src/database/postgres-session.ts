import { Socket } from 'node:net';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import pg from 'pg';
import { outcomeOfError, outcomeOfSuccess, type ServerNotice } from '../workload/classify.ts';
import type { Answer, DriverError, Row, Session, Statement, Target } from './session.ts';

/** A connection to PostgreSQL. */
export class PostgresSession implements Session {
  readonly target: Target;
  readonly #client: pg.Client;
  readonly #socket: Socket;
  #notices: ServerNotice[] = [];
  #isOpen = true;
  #onClosed: (() => void) | null = null;

  private constructor(target: Target, client: pg.Client, socket: Socket) {
    this.target = target;
    this.#client = client;
    this.#socket = socket;
    client.on('error', () => this.destroy());
    client.on('end', () => this.destroy());
    client.on('notice', (notice) => this.#notices.push({ code: notice.code ?? null, message: notice.message ?? '' }));
  }

  /** Connects and logs in; null when that was not possible in time. */
  static async open(target: Target, timeoutMs: number): Promise<PostgresSession | null> {
    const socket = new Socket();
    const { ca, node: _, ...login } = target;
    const client = new pg.Client({
      ...login,
      stream: () => socket,
      application_name: 'understudy drill',
      ...(ca === null ? {} : { ssl: tlsTo(target.host, ca) }),
    });
    const session = new PostgresSession(target, client, socket);
    const timer = setTimeout(() => session.destroy(), timeoutMs);
    try {
      await Promise.race([client.connect(), session.#closed()]);
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

  async run(statement: Statement, timeoutMs: number): Promise<Answer> {
    this.#notices = [];
    if (!this.#isOpen) return failure({ code: 'CLOSED', severity: null }, 'the connection is closed', 'fail');
    const { name, text, values } = statement;
    const timer = setTimeout(() => this.destroy(), timeoutMs);
    try {
      const query = { ...(name === undefined ? {} : { name }), text, values: [...(values ?? [])] };
      const result = await Promise.race([this.#client.query<Row>(query), this.#closed()]);
      if (result === null)
        return failure({ code: 'DEADLINE', severity: null }, `closed, or no answer within ${timeoutMs} ms`);
      return { kind: 'rows', rows: result.rows, outcome: outcomeOfSuccess(this.#notices) };
    } catch (error) {
      return failure(partsOf(error), error instanceof Error ? error.message : String(error));
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
    this.#socket.destroy();
    this.#onClosed?.();
  }

  /** Resolves with null when the connection is destroyed, so that nothing waits for an answer that cannot come. */
  #closed(): Promise<null> {
    if (!this.#isOpen) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.#onClosed = () => resolve(null);
    });
  }
}

/** The driver itself would compare the certificate with "localhost" when the server is named by an address. */
function tlsTo(host: string, ca: string): ConnectionOptions {
  return { ca, checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate) };
}

function failure(error: DriverError, message: string, outcome = outcomeOfError(error)): Answer {
  return { kind: 'error', outcome, error, message };
}

function partsOf(error: unknown): DriverError {
  if (typeof error !== 'object' || error === null) return { code: null, severity: null };
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  return {
    code: 'code' in error ? text(error.code) : null,
    severity: 'severity' in error ? text(error.severity) : null,
  };
}
