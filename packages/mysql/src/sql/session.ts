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
