import type { Outcome } from '../workload/op.ts';

/** Where and as whom to connect. A host that begins with "/" is a Unix socket, or (PostgreSQL) the folder of one. */
export interface Target {
  readonly node: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Text of the authority that the server's certificate must be of; null: no TLS, as on a Unix socket. */
  readonly ca: string | null;
}

export type Row = Readonly<Record<string, unknown>>;

export interface Statement {
  /** Prepared once for each connection, where the driver can. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** The parts of a driver's error that tell what happened. */
export interface DriverError {
  readonly code: string | null;
  readonly severity: string | null;
}

export type Answer =
  | { readonly kind: 'rows'; readonly rows: readonly Row[]; readonly outcome: Outcome }
  | { readonly kind: 'error'; readonly outcome: Outcome; readonly error: DriverError; readonly message: string };

/** One connection whose every step has a deadline. When one passes, the connection is destroyed: its state is not known any more. */
export interface Session {
  readonly target: Target;
  readonly isOpen: boolean;
  /** Runs one statement. Never rejects: an error is an answer. */
  run(statement: Statement, timeoutMs: number): Promise<Answer>;
  /** Rows of a statement; an error is thrown. For everything that is not part of the history. */
  rows(text: string, values?: readonly unknown[], timeoutMs?: number): Promise<readonly Row[]>;
  /** Drops the connection without a word. */
  destroy(): void;
}

/** One text column of the first row. */
export function textOf(rows: readonly Row[], column: string): string {
  return String(rows[0]?.[column] ?? '');
}
