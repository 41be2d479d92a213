import type { Login } from './login.ts';

export interface Host {
  /** Name of the member. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Its Unix socket, where the password is safer than on a port that anybody may have taken. */
  readonly socket?: string;
}

/** What one statement gave. */
export interface Result {
  /** What was done, as the server calls it: `INSERT`, `OK`, …. */
  readonly command: string;
  readonly rowCount: number | null;
  /** Empty for a statement that has no rows. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

/** An open session with one server. The caller ends it; it never throws by itself. */
export interface Session {
  readonly host: Host;
  /** Runs a text that may hold several statements. */
  run(text: string): Promise<readonly Result[]>;
  /** Runs one statement, with `values` in its places, and returns its rows by the names of their columns. */
  query(text: string, values: readonly unknown[]): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Whether this server takes writes. */
  isWritable(): Promise<boolean>;
  /** Ends it without waiting for a server that may be frozen. */
  close(): Promise<void>;
}

/** The statements of `understudy probe`. `insert` and `select` have places for the run and, the first, for the number. */
export interface ProbeStatements {
  readonly create: string;
  readonly insert: string;
  readonly select: string;
  readonly drop: string;
}

/** One kind of database server, for the commands that run SQL themselves. */
export interface Driver {
  readonly probe: ProbeStatements;
  /** @throws CliError `REFUSED` when the login is wrong; otherwise whatever the driver says */
  connect(host: Host, login: Login, timeoutMs: number): Promise<Session>;
  /** Whether an error of a statement is the server's own, and says that it was not carried out. */
  isRefusal(error: unknown): boolean;
}

/** How long an orderly goodbye may take. */
export const goodbyeMs = 300;
