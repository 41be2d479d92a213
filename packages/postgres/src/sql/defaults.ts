/**
 * What every session of an agent states when it connects, because somebody may have set it otherwise for the server, a database or a role.
 * Settings of the connection win over all of these, and they hold before the first thing runs: login triggers and preloaded libraries too.
 */

const plain: Readonly<Record<string, string>> = {
  // A standby takes no serializable transaction at all.
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  role: 'none',
  // Objects of users with the names of the server's own are never found.
  search_path: 'pg_catalog,pg_temp',
  statement_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  client_min_messages: 'error',
  standard_conforming_strings: 'on',
  exit_on_error: 'off',
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  DateStyle: 'ISO',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  local_preload_libraries: '',
  post_auth_delay: '0',
};

/** Only superusers may set these. */
const privileged: Readonly<Record<string, string>> = {
  session_preload_libraries: '',
  lc_messages: 'C',
};

export interface SessionNeeds {
  /** Of the server; null: another member's, which may be an older one. */
  readonly major: number | null;
  readonly privileges: 'superuser' | 'ordinary' | 'granted';
  /** How long a statement may wait for a lock; 0: as long as the statement may take. */
  readonly lockTimeoutMs: number;
}

/** The settings as the `options` of a connection. */
export function sessionOptions({ major, privileges, lockTimeoutMs }: SessionNeeds): string {
  const settings: Record<string, string> = { ...plain, lock_timeout: String(lockTimeoutMs) };
  if (privileges === 'superuser') Object.assign(settings, privileged);
  if (major !== null && major >= 17) {
    settings.transaction_timeout = '0';
    if (privileges !== 'ordinary') settings.event_triggers = 'off';
  }
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(/([\\ ])/g, '\\$1')}`)
    .join(' ');
}
