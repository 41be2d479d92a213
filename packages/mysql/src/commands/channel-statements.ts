import type { Member } from '@understudy/core';
import type { Dialect } from '../dialect/dialect.ts';
import { quoteLiteral } from '../names.ts';
import type { ChannelSecurity } from '../observe/channel.ts';

/** An idle stream shows life this often; suspicion needs it well below its own limit. Every `CHANGE … TO` that does not name it sets it back. */
const heartbeatSeconds = '0.3';
const retrySeconds = 1;
/** Tried again for ever: an acknowledger whose account is locked may be wanted again at any moment. */
const retriesMax = 1_000_000;

export interface ChannelTarget {
  readonly leader: Pick<Member, 'host' | 'port'>;
  readonly user: string;
  readonly password: string;
  /** Files of our authority's certificate and of our own certificate and key; null: not encrypted. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | null;
  /** `key`: whoever answers names the key that the password is encrypted with, and can read it. */
  readonly security: ChannelSecurity;
  /** How much later the applier applies. */
  readonly delayS: number;
  /** Whether there was no channel before. */
  readonly isNew: boolean;
}

/** The statement that points a channel to a source. All options that a change of the source would set back are given each time. */
export function changeStatement(dialect: Dialect, target: ChannelTarget): string {
  const { prefix, statement } = dialect.change;
  const options = [
    `${prefix}_HOST = ${quoteLiteral(target.leader.host)}`,
    `${prefix}_PORT = ${target.leader.port}`,
    `${prefix}_HEARTBEAT_PERIOD = ${heartbeatSeconds}`,
    `${prefix}_CONNECT_RETRY = ${retrySeconds}`,
    ...tlsOptions(dialect, target),
  ];
  // MySQL changes it only while its applier is stopped: see `delayStatement`.
  if (target.isNew || dialect.gtids === 'domains') options.push(`${prefix}_DELAY = ${target.delayS}`);
  if (dialect.credentials === 'start') {
    options.push(`${prefix}_RETRY_COUNT = ${retriesMax}`);
    // Only while nothing runs; as it stays so, it is needed once.
    if (target.isNew) options.push(`${prefix}_AUTO_POSITION = 1`);
    options.push(`GET_${prefix}_PUBLIC_KEY = ${target.security === 'key' ? 1 : 0}`);
  } else {
    const { user, password } = target;
    options.push(`${prefix}_USER = ${quoteLiteral(user)}`, `${prefix}_PASSWORD = ${quoteLiteral(password)}`);
    options.push(`${prefix}_USE_GTID = slave_pos`);
  }
  return `${statement} ${options.join(', ')}`;
}

function tlsOptions({ change: { prefix } }: Dialect, { tls, security }: ChannelTarget): readonly string[] {
  // MariaDB goes on without TLS, where the source offers none, unless the name is checked.
  const verify = `${prefix}_SSL_VERIFY_SERVER_CERT = ${security === 'full' ? 1 : 0}`;
  if (tls === null) return [`${prefix}_SSL = 0`, verify];
  const files = [
    ['CA', tls.ca],
    ['CERT', tls.cert],
    ['KEY', tls.key],
  ] as const;
  return [`${prefix}_SSL = 1`, verify, ...files.map(([name, path]) => `${prefix}_SSL_${name} = ${quoteLiteral(path)}`)];
}

/** The statement by which a stopped channel of MariaDB is changed in nothing but these options. */
export function adjustStatement({ change: { statement, prefix } }: Dialect, options: string): string {
  return `${statement} ${options}, ${prefix}_HEARTBEAT_PERIOD = ${heartbeatSeconds}`;
}

/** The statement that changes the delay of a channel and nothing else, while its applier is stopped. */
export function delayStatement({ change: { statement, prefix } }: Dialect, delayS: number): string {
  return `${statement} ${prefix}_DELAY = ${delayS}`;
}

/** The statement that starts the receiver, with its login where that is not part of the channel. */
export function startReceiver({ credentials, replica }: Dialect, user: string, password: string): string {
  const start = `START ${replica} IO_THREAD`;
  return credentials === 'change'
    ? start
    : `${start} USER = ${quoteLiteral(user)} PASSWORD = ${quoteLiteral(password)}`;
}
