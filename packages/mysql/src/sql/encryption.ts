import { isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import mysql from 'mysql2';

/** What encrypts a session and proves who the server is. */
export interface SessionTls {
  /** PEM text of the authority that must have signed the server's certificate. */
  readonly ca: string;
  /** PEM texts of our own certificate and key, which the server may ask for; null: we have none. */
  readonly own: { readonly cert: string; readonly key: string } | null;
  /** `full`: the certificate must name the address that we connect to. */
  readonly verify: 'ca' | 'full';
}

/** What the driver keeps of a connection that its types do not tell. */
interface DriverConnection {
  stream: Socket | TLSSocket;
  readonly packetParser: { execute(data: Buffer): void };
  startTLS(onSecure: (error?: Error) => void): void;
  _handleNetworkError(error: Error): void;
}

/**
 * Makes the handshake of TLS ours. The driver checks names of hosts, but looks for `localhost` in a certificate when it was given an IP
 * address (mysql2 3.24), which is what members have. Nothing about the password is sent before the certificate was checked.
 *
 * @returns whether the handshake was made, so that a driver that goes another way is noticed.
 */
export function takeHandshake(connection: mysql.Connection, host: string, tls: SessionTls): () => 'made' | 'not made' {
  const driver = connection as unknown as DriverConnection;
  let state: 'made' | 'not made' = 'not made';
  driver.startTLS = (onSecure) => {
    driver.stream.removeAllListeners('data');
    const secure = connect(
      {
        socket: driver.stream,
        ca: tls.ca,
        ...(tls.own ?? {}),
        ...(isIP(host) === 0 ? { servername: host } : {}),
        minVersion: 'TLSv1.2',
        checkServerIdentity: (_name, certificate) =>
          tls.verify === 'full' ? checkServerIdentity(host, certificate) : undefined,
      },
      () => {
        state = 'made';
        onSecure();
      },
    );
    secure.on('error', (error) => (state === 'made' ? driver._handleNetworkError(error) : onSecure(error)));
    secure.on('data', (data: Buffer) => driver.packetParser.execute(data));
    driver.stream = secure;
  };
  return () => state;
}

/** How far a password may go: to a server that is proven (TLS, our own socket), to whoever is on this machine, or nowhere but as a hash. */
export type Reach = 'proven' | 'this machine' | 'nowhere';

/**
 * What the driver answers to a server that asks for a password otherwise than ours do. Their ways are `caching_sha2_password` (MySQL) and
 * `mysql_native_password` (MariaDB). Without TLS the first may need the password itself, encrypted with a key that the server names.
 */
export function answersFor(reach: Reach): Record<string, mysql.AuthPlugin> {
  const refused = {
    mysql_clear_password: refuse('mysql_clear_password'),
    sha256_password: refuse('sha256_password'),
  };
  if (reach !== 'nowhere') return refused;
  const onServerPublicKey = (): never => {
    throw withheld('the connection has no TLS, and whoever answers could name a key of its own. Configure TLS');
  };
  return { ...refused, caching_sha2_password: mysql.authPlugins.caching_sha2_password({ onServerPublicKey }) };
}

const refuse = (plugin: string) => () => () => {
  throw withheld(`it asked by ${plugin}, as no account of ours does. Something else may listen there`);
};

const withheld = (why: string): Error =>
  Object.assign(new Error(`the server did not get the password: ${why}`), { code: 'PASSWORD_WITHHELD' });
