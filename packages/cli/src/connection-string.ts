export interface ConnectionTarget {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string;
  readonly database: string;
  readonly password?: string;
  /** `target_session_attrs` of libpq: which of the hosts the client settles on. */
  readonly target: 'read-write' | 'prefer-standby';
}

/** A connection string in the form that libpq (14 and newer) reads: all hosts, and which of them is wanted. */
export function connectionString({ hosts, user, database, password, target }: ConnectionTarget): string {
  const login = `${encodeURIComponent(user)}${password === undefined ? '' : `:${encodeURIComponent(password)}`}`;
  const list = hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',');
  return `postgresql://${login}@${list}/${encodeURIComponent(database)}?target_session_attrs=${target}`;
}
