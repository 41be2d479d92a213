export interface ConnectionTarget {
  /** The best first. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string;
  readonly database: string;
  readonly password?: string;
  /** Which of the hosts the client settles on. */
  readonly target: 'read-write' | 'prefer-standby';
  /** File of the authority that the servers' certificates are of, so that the client gives the password to nobody else. */
  readonly caFile?: string | null;
}

/**
 * A connection string. Of PostgreSQL in the form that libpq (14 and newer) reads: all hosts, and which of them is wanted. Clients of
 * MySQL and MariaDB have no such form in common: the first host alone, and the client has to be told whom to believe.
 *
 * @param engine as the agents call it
 */
export function connectionString(
  engine: string,
  { hosts, user, database, password, target, caFile }: ConnectionTarget,
): string {
  const login = `${encodeURIComponent(user)}${password === undefined ? '' : `:${encodeURIComponent(password)}`}`;
  const list = hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`);
  const name = encodeURIComponent(database);
  if (engine === 'postgres') {
    const tls = caFile == null ? '' : `&sslmode=verify-full&sslrootcert=${encodeURIComponent(caFile)}`;
    return `postgresql://${login}@${list.join(',')}/${name}?target_session_attrs=${target}${tls}`;
  }
  return `mysql://${login}@${list[0] ?? ''}/${name}`;
}
