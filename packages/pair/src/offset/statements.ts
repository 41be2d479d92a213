import { type Dialect, quoteLiteral, type Session } from '@understudy/mysql/parts';
import { asksForKey, type Login } from './login.ts';
import { fileName, type LogPosition } from './position.ts';

const timeoutMs = 20_000;

export interface Attachment {
  readonly source: Pick<Login, 'host' | 'port' | 'ca' | 'plain'>;
  readonly account: { readonly user: string; readonly password: string };
  readonly from: LogPosition;
}

/** The statement that makes a server a replica from a place in another's log. @param secret how the password is written. */
export function attachStatement(
  { change }: Dialect,
  { source, account, from }: Attachment,
  secret: 'real' | 'hidden' = 'real',
): string {
  const { prefix, statement } = change;
  const password = secret === 'real' ? quoteLiteral(account.password) : "'…'";
  const tls = source.ca === undefined ? 0 : 1;
  const options = [
    `${prefix}_HOST = ${quoteLiteral(source.host)}`,
    `${prefix}_PORT = ${source.port}`,
    `${prefix}_USER = ${quoteLiteral(account.user)}`,
    `${prefix}_PASSWORD = ${password}`,
    `${prefix}_LOG_FILE = ${quoteLiteral(fileName(from))}`,
    `${prefix}_LOG_POS = ${from.offset}`,
    `${prefix}_CONNECT_RETRY = 1`,
    `${prefix}_SSL = ${tls}`,
    `${prefix}_SSL_VERIFY_SERVER_CERT = ${source.ca?.verify === 'full' ? 1 : 0}`,
    ...(source.ca === undefined ? [] : [`${prefix}_SSL_CA = ${quoteLiteral(source.ca.file)}`]),
    ...(prefix === 'SOURCE'
      ? [`${prefix}_AUTO_POSITION = 0`, `GET_${prefix}_PUBLIC_KEY = ${asksForKey(source) ? 1 : 0}`]
      : [`${prefix}_USE_GTID = no`]),
  ];
  return `${statement} ${options.join(', ')}`;
}

/** Makes a server a replica, and starts it. */
export async function attach(session: Session, dialect: Dialect, attachment: Attachment): Promise<void> {
  await session.query(attachStatement(dialect, attachment), [], timeoutMs);
  await session.query(`START ${dialect.replica}`, [], timeoutMs);
}

/** Ends the replication of a server, and forgets it. */
export async function detach(session: Session, { replica }: Dialect): Promise<void> {
  await session.query(`STOP ${replica}`, [], timeoutMs);
  await session.query(`RESET ${replica} ALL`, [], timeoutMs);
}
