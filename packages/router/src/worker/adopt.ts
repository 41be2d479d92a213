/** Sockets that read into one buffer of the worker, so that neither a read nor an idle connection costs memory. */

import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';

/** Reads are synchronous on the loop: each is worked through before the next one, whoever's it is. */
const shared = Buffer.allocUnsafeSlow(64 * 1024);

/** @returns false to stop reading */
export type OnBytes = (bytes: Buffer, length: number) => boolean;

export function onRead(onBytes: OnBytes): OnReadOpts {
  return { buffer: shared, callback: (length) => onBytes(shared, length) };
}

interface WithHandle {
  _handle: unknown;
}

/**
 * The same connection as a socket that reads into the shared buffer. Node gives this to connections that it opens, not to those that it
 * accepts; a new socket around the handle has it. The old one is left without its handle.
 */
export function adopt(socket: Socket, onBytes: OnBytes): Socket {
  const holder = socket as unknown as WithHandle;
  const handle = holder._handle;
  holder._handle = null;
  socket.removeAllListeners();
  socket.on('error', () => undefined);
  const options = { handle, readable: true, writable: true, onread: onRead(onBytes) };
  return new Socket(options as SocketConstructorOpts);
}
