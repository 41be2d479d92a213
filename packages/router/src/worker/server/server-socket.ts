/** Opens a connection to a server, encrypted where the configuration wants it: never in clear instead. */

import { connect, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { ALPN_PROTOCOL, encodeSslRequest } from '@understudy/wire/postgres';
import { type OnBytes, onRead } from '../adopt.ts';

/** How connections to servers are encrypted. */
export interface ServerTls {
  /** Certificates of the authority that theirs must be of; null: any certificate, so only a listener is kept out. */
  readonly ca: string | null;
  /** Whether the certificate must have the name or address that the router connects to. */
  readonly checksName: boolean;
}

export interface ServerPlace {
  readonly host: string;
  readonly port: number;
  readonly tls: ServerTls | null;
}

export interface Opening {
  /** The connection stands, and encrypted if that was wanted. */
  readonly onOpen: (socket: Socket) => void;
  readonly onBytes: OnBytes;
  /** At most once, also after it stood. */
  readonly onLost: (code: string, message: string) => void;
}

const KEEP_ALIVE_MS = 10_000;
const YES = 0x53;

/** @returns the socket to close while nothing stands; {@link Opening.onOpen} gives the one to use */
export function openServer({ host, port, tls }: ServerPlace, opening: Opening): Socket {
  const common = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
  if (tls === null) {
    const socket = connect({ ...common, onread: onRead(opening.onBytes) });
    watch(socket, opening);
    socket.on('connect', () => opening.onOpen(socket));
    return socket;
  }
  const socket = connect(common);
  watch(socket, opening);
  socket.on('connect', () => socket.write(encodeSslRequest()));
  socket.once('data', (answer: Buffer) => {
    if (answer.length !== 1 || answer[0] !== YES) {
      opening.onLost('TLS', 'the server offers no TLS, which the configuration of the router demands');
      socket.destroy();
      return;
    }
    socket.removeAllListeners();
    const encrypted = connectTls({ socket, ALPNProtocols: [ALPN_PROTOCOL], ...checksOf(host, tls) });
    watch(encrypted, opening);
    encrypted.on('secureConnect', () => opening.onOpen(encrypted));
    encrypted.on('data', (bytes: Buffer) => opening.onBytes(bytes, bytes.length));
  });
  return socket;
}

function checksOf(host: string, { ca, checksName }: ServerTls): ConnectionOptions {
  return {
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === null ? { rejectUnauthorized: false } : { ca }),
    ...(checksName ? { host } : { checkServerIdentity: () => undefined }),
  };
}

function watch(socket: Socket, { onLost }: Opening): void {
  socket.on('error', (error: NodeJS.ErrnoException) => onLost(error.code ?? 'EUNKNOWN', error.message));
  socket.on('end', () => onLost('EOF', 'the server closed the connection'));
  socket.on('close', () => onLost('EOF', 'the connection was closed'));
}
