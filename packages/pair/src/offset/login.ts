import { isLoopback } from '@understudy/engine/host';
import { PairError } from '../errors.ts';

/** Where and as whom to log in. */
export interface Login {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** File of the authority that must have signed the server's certificate, which must also name the host (`full`); left out: not encrypted. */
  readonly ca?: { readonly file: string; readonly verify: 'ca' | 'full' };
  /** Without TLS: where a password may go out that the server may need in full. */
  readonly plain: 'loopback' | 'anywhere';
}

const defaultPort = 3306;

/**
 * Reads what names a server: `mysql://user@host:port`, or the path of an option file with a `[client]` group.
 *
 * @param env `MYSQL_PWD` is the password where the file does not say one. @param read the text of a file.
 * @throws PairError `OFFSET_INPUT`; no message holds a password.
 */
export function parseLogin(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
  read: (path: string) => string,
): Login {
  if (/^(mysql|mariadb):\/\//.test(text)) return ofAddress(text, env.MYSQL_PWD ?? '');
  const options = parseOptionFile(read(text));
  const { host = '127.0.0.1', port = String(defaultPort), user = 'root', password = env.MYSQL_PWD ?? '' } = options;
  return { host: plainHost(host), port: portOf(port, text), user, password, ...encryptionOf(options) };
}

/** Whether the server is asked for the key that a password is encrypted with: whoever answers can read it then. */
export const asksForKey = ({ host, ca, plain }: Pick<Login, 'host' | 'ca' | 'plain'>): boolean =>
  ca === undefined && (plain === 'anywhere' || isLoopback(host));

/** The words of the servers' own programs. Names of hosts are checked unless the file says that they are not. */
function encryptionOf(options: Readonly<Record<string, string>>): Pick<Login, 'ca' | 'plain'> {
  const said = (name: string): string | undefined => options[name] ?? options[name.replaceAll('-', '_')];
  const mode = said('ssl-mode')?.toUpperCase();
  const isDisabled = mode === 'DISABLED' || said('skip-ssl') !== undefined || said('ssl') === '0';
  const file = said('ssl-ca');
  if (file === undefined || isDisabled) return { plain: isDisabled ? 'anywhere' : 'loopback' };
  const byAuthority = mode === 'VERIFY_CA' || /^(0|off|false)$/i.test(said('ssl-verify-server-cert') ?? '');
  return { ca: { file, verify: byAuthority ? 'ca' : 'full' }, plain: 'loopback' };
}

function ofAddress(text: string, password: string): Login {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.hostname === '') {
    throw new PairError('OFFSET_INPUT', 'That is not an address.', {
      next: 'Write mysql://user@host:port, or the path of an option file.',
    });
  }
  if (url.password !== '') {
    const next = 'Write it into the [client] group of an option file and name that file, or put it into MYSQL_PWD.';
    throw new PairError('OFFSET_INPUT', 'A password in an argument can be read by everybody on this machine.', {
      next,
    });
  }
  const user = url.username === '' ? 'root' : decodeURIComponent(url.username);
  return {
    host: plainHost(url.hostname),
    port: portOf(url.port === '' ? String(defaultPort) : url.port, text),
    user,
    password,
    plain: 'loopback',
  };
}

/** `localhost` may mean a socket; only TCP is understood here. */
const plainHost = (host: string): string => (host === 'localhost' ? '127.0.0.1' : host);

function portOf(text: string, where: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new PairError('OFFSET_INPUT', `"${text}" in ${where.split('@').at(-1)} is not a port.`, {
    next: 'Write a number, such as 3306.',
  });
}

/** The settings of the `[client]` group of an option file. */
export function parseOptionFile(text: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  let group = '';
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    const head = /^\[([^\]]+)\]$/.exec(line)?.[1];
    if (head !== undefined) group = head;
    const [, name = '', value = ''] = /^([\w-]+)\s*(?:=\s*(.*))?$/.exec(line) ?? [];
    if (head === undefined && group === 'client' && name !== '')
      found[name] = /^(["'])(.*)\1$/.exec(value)?.[2] ?? value;
  }
  return found;
}
