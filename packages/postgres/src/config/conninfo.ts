import type { Member } from '@understudy/core';
import { quoteConninfo } from '../names.ts';

/**
 * The connection string of a replica's receiver. The password is in a file, which sealing empties: a receiver that is started
 * late with an old string can then log in nowhere.
 *
 * @param link what is demanded of the other end, see `secureLink`.
 */
export function receiverConninfo(
  upstream: Member,
  user: string,
  applicationName: string,
  passwordFile: string,
  link: Readonly<Record<string, string>>,
  database: string | null = null,
): string {
  const settings: Record<string, string> = {
    host: upstream.host,
    port: String(upstream.port),
    user,
    // The receiver needs none; what copies logical slots asks there which there are.
    ...(database === null ? {} : { dbname: database }),
    application_name: applicationName,
    passfile: passwordFile,
    connect_timeout: '2',
    keepalives: '1',
    keepalives_idle: '2',
    keepalives_interval: '1',
    keepalives_count: '2',
    tcp_user_timeout: '3000',
    ...link,
  };
  return formatConninfo(settings);
}

/** A connection string of libpq. */
export function formatConninfo(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${quoteConninfo(value)}`)
    .join(' ');
}

/** A role with its password. */
export interface RoleLogin {
  readonly user: string;
  readonly password: string;
}

/**
 * The content of a libpq password file that fits every server; empty when `logins` is null. It has all that this member may use: a receiver
 * that is started while the role changes finds the password of either.
 */
export function passwordFileContent(logins: readonly RoleLogin[] | null): string {
  if (logins === null) return '# sealed: no password, so that no receiver can log in\n';
  const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll(':', '\\:');
  return logins.map(({ user, password }) => `*:*:*:${user}:${escaped(password)}\n`).join('');
}
