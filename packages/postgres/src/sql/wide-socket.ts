import { Buffer } from 'node:buffer';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Many of the server's messages at once: fewer calls of the system, and no memory for each. */
const bufferBytes = 512 * 1024;

type Reader = (chunk: Buffer) => void;

const readers = new WeakMap<Duplex, { reader: Reader | null }>();

/**
 * A socket for the driver that reads into one buffer, over and over. With an ordinary one, each 64 KB that arrive cost new memory, which
 * takes longer than reading them.
 */
export function wideSocket(): Socket {
  const state: { reader: Reader | null } = { reader: null };
  const socket: Socket = new Socket({
    onread: {
      buffer: Buffer.allocUnsafeSlow(bufferBytes),
      callback: (bytes, buffer) => {
        const chunk = Buffer.from(buffer.buffer, buffer.byteOffset, bytes);
        if (state.reader === null) socket.emit('data', Buffer.from(chunk));
        else state.reader(chunk);
        return true;
      },
    },
  });
  readers.set(socket, state);
  return socket;
}

/**
 * Lets `reader` have everything that arrives, in place of the driver, which gets what `reader` passes on.
 *
 * @param makeReader is given the way to the driver. Neither it nor the driver may keep a chunk: its memory is used again.
 * @returns ends that.
 */
export function readInstead(stream: Duplex, makeReader: (toDriver: Reader) => Reader): () => void {
  const listeners = stream.listeners('data');
  const reader = makeReader((chunk) => {
    // The driver keeps the beginning of a message until the rest comes.
    const kept = Buffer.from(chunk);
    for (const listener of listeners) listener.call(stream, kept);
  });
  const wide = readers.get(stream);
  if (wide !== undefined) {
    wide.reader = reader;
    return () => {
      wide.reader = null;
    };
  }
  // Encrypted: the driver wrapped a socket of its own.
  stream.removeAllListeners('data');
  stream.on('data', reader);
  return () => {
    stream.off('data', reader);
    for (const listener of listeners) stream.on('data', (chunk: Buffer) => listener.call(stream, chunk));
  };
}
