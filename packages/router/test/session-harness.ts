/** A session between a client and a server that both say exactly what a test wants. The server listens on the loopback address. */

import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { createPgClassifier, DEFAULT_PG_SESSION, mergeClassifications } from '@understudy/routing';
import { loadPgGrammar } from '@understudy/routing/runtime';
import {
  type ClientMessage,
  clientFrames,
  encodeAuthentication,
  encodeClientMessage,
  encodeServerMessage,
  FrameScanner,
  parseServerMessage,
  type ServerMessage,
  STATUS,
  serverFrames,
} from '@understudy/wire/postgres';
import { Batch } from '../src/worker/batch.ts';
import { ClientSession } from '../src/worker/client/client-session.ts';
import { Pool } from '../src/worker/pool/pool.ts';
import { PreparedRegistry } from '../src/worker/server/server-statements.ts';
import { shortly } from './raw-client.ts';

/** What the server says to a message of a client: a letter for its type, and its content as text. */
export type Script = (asked: string, say: (...messages: ServerMessage[]) => void) => void;

export interface Harness {
  readonly session: ClientSession;
  /** What the server read, in short, of all its connections. */
  readonly asked: readonly string[];
  /** What the client was told, in short. */
  readonly said: readonly string[];
  /** Connections that the server has open. */
  readonly open: ReadonlySet<Socket>;
  readonly pool: Pool;
  sends(...messages: ClientMessage[]): void;
  sendsBytes(bytes: Buffer): void;
  until(condition: () => boolean): Promise<void>;
  stop(): void;
}

export const ready = (status: number = STATUS.idle): ServerMessage =>
  ({ kind: 'ready-for-query', status }) as ServerMessage;
export const completed = (tag: string): ServerMessage => ({ kind: 'command-complete', tag });
export const failure = (code: string): ServerMessage => ({
  kind: 'error',
  fields: { severity: 'ERROR', code, message: code },
});

const grammar = await loadPgGrammar();

export async function harness(script: Script, pooling: 'session' | 'transaction' = 'transaction'): Promise<Harness> {
  const [asked, said]: [string[], string[]] = [[], []];
  const open = new Set<Socket>();
  const listener = createServer((socket) => serve(socket, open, asked, script));
  await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done));
  const address = listener.address();
  assert.ok(address !== null && typeof address === 'object');
  const batch = new Batch();
  const member = { name: 'n1', host: '127.0.0.1', port: address.port, serves: 'primary', lagMs: null } as const;
  const pool = new Pool({
    user: 'u',
    database: 'd',
    credentials: () => ({ kind: 'none' }),
    view: () => ({ epoch: 1, primary: 'n1', members: [member] }),
    tls: null,
    limits: { size: 1, idleMs: 60_000, waitMs: 5_000, waiting: 10, waitingBytes: 1_000_000 },
    batch,
    onRefused: () => undefined,
    onLost: () => undefined,
  });
  const classifier = createPgClassifier(grammar);
  const session = new ClientSession({
    host: {
      batch,
      pool,
      registry: new PreparedRegistry(),
      classify: (text, facts) => classifier.classify(text, { ...DEFAULT_PG_SESSION, ...facts }),
      classifyGroup: mergeClassifications,
      cancel: () => undefined,
      counted: () => undefined,
      ended: () => undefined,
    },
    socket: clientSocket(said),
    user: 'u',
    database: 'd',
    settings: new Map(),
    wanted: 'primary',
    pooling,
  });
  const sendsBytes = (bytes: Buffer): void => {
    session.read(bytes, bytes.length);
  };
  const stop = (): void => {
    session.close();
    pool.close();
    for (const socket of open) socket.destroy();
    listener.close();
  };
  return {
    session,
    asked,
    said,
    open,
    pool,
    sends: (...messages) => sendsBytes(Buffer.concat(messages.map(encodeClientMessage))),
    sendsBytes,
    until: async (condition) => {
      const deadline = performance.now() + 10_000;
      while (!condition()) {
        if (performance.now() >= deadline) stop();
        assert.ok(performance.now() < deadline, `asked ${asked.join(' | ')}; said ${said.join(' | ')}`);
        await new Promise((done) => setTimeout(done, 2));
      }
    },
    stop,
  };
}

function serve(socket: Socket, open: Set<Socket>, asked: string[], script: Script): void {
  open.add(socket);
  socket.on('error', () => undefined);
  socket.on('close', () => open.delete(socket));
  const say = (...messages: ServerMessage[]): void => {
    socket.write(Buffer.concat(messages.map(encodeServerMessage)));
  };
  const hear = (bytes: Buffer): void => {
    const text = `${String.fromCharCode(bytes[0] ?? 0)} ${bytes.toString('latin1', 5).replaceAll('\0', ' ').trim()}`;
    asked.push(text);
    script(text, say);
  };
  const scanner = new FrameScanner(clientFrames());
  const pieces: Buffer[] = [];
  socket.once('data', () => {
    socket.write(Buffer.concat([encodeAuthentication({ kind: 'ok' }), encodeServerMessage(ready())]));
    socket.on('data', (chunk: Buffer) => {
      scanner.scan(chunk, 0, chunk.length, {
        frame: (_type, bytes, start, end) => {
          hear(Buffer.from(bytes.subarray(start, end)));
          return true;
        },
        piece: (_type, bytes, start, end, isLast) => {
          pieces.push(Buffer.from(bytes.subarray(start, end)));
          if (isLast) hear(Buffer.concat(pieces.splice(0)));
          return true;
        },
      });
    });
  });
}

function clientSocket(said: string[]): Socket {
  const scanner = new FrameScanner(serverFrames());
  const told = (type: number, bytes: Buffer): boolean => {
    said.push(shortly(parseServerMessage(type, bytes.subarray(5))));
    return true;
  };
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      const own = Buffer.from(chunk);
      scanner.scan(own, 0, own.length, {
        frame: (type, bytes, start, end) => told(type, Buffer.from(bytes.subarray(start, end))),
        piece: () => true,
      });
      done();
    },
  });
  return Object.assign(stream, { setTimeout: () => stream }) as unknown as Socket;
}
