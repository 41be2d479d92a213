import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { createSecureContext, TLSSocket } from 'node:tls';

/** On loopback, and not 127.0.0.1: there MariaDB from 11.4 on checks no name of a certificate. */
export const rogueHost = '127.0.0.2';

/** Texts in PEM form of the certificate that a rogue shows, and of its key. */
export interface RogueCertificate {
  readonly cert: string;
  readonly key: string;
}

/** What a rogue has got out of those who came. */
export class Loot {
  connections = 0;
  /** Handshakes of TLS that a client finished. */
  handshakes = 0;
  /** Names that clients gave. */
  readonly users: string[] = [];
  /** What a client answered to a question for its password, as it came: a hash, or the password itself. */
  readonly answers: Buffer[] = [];
  /** Passwords that the rogue can use. */
  readonly passwords: string[] = [];
  /** What clients asked for once they took the rogue for their server. */
  readonly commands: string[] = [];
}

/** A server that is none of the cluster's. */
export interface Rogue {
  readonly host: string;
  readonly port: number;
  readonly loot: Loot;
  close(): Promise<void>;
}

/** Listens on a free port of loopback; `serve` speaks with one client until it throws or returns, and then the connection is cut. */
export async function listen(loot: Loot, serve: (wire: Wire) => Promise<void>): Promise<Rogue> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    loot.connections += 1;
    socket.unref();
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const wire = new Wire(socket);
    serve(wire)
      .catch(() => undefined)
      .finally(() => socket.destroy());
  });
  // A test that fails must not wait for its rogues.
  server.unref();
  server.listen(0, rogueHost);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host: rogueHost,
    port: address.port,
    loot,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** One connection: bytes are taken as they are wanted, and it may begin TLS in between. */
export class Wire {
  #stream: Duplex;
  #held = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => undefined;
  #onData: (chunk: Buffer) => void = (chunk) => this.#hold(chunk);

  constructor(socket: Socket) {
    this.#stream = socket;
    this.#attach(socket);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
  }

  #attach(stream: Duplex): void {
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    for (const event of ['end', 'close', 'error']) stream.on(event, end);
  }

  #hold(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk]);
    this.#wake();
  }

  /** @throws Error when the client goes first. */
  async take(bytes: number): Promise<Buffer> {
    while (this.#held.length < bytes) {
      if (this.#ended) throw new Error('the client has gone');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#held.subarray(0, bytes);
    this.#held = this.#held.subarray(bytes);
    return taken;
  }

  /** Whatever comes next. @throws Error when the client goes first. */
  async takeSome(): Promise<Buffer> {
    const first = await this.take(1);
    return Buffer.concat([first, await this.take(this.#held.length)]);
  }

  send(bytes: Buffer): void {
    this.#stream.write(bytes);
  }

  /** Goes on over TLS. @throws Error when the client does not take the certificate. */
  async secure({ cert, key }: RogueCertificate, loot: Loot): Promise<void> {
    const socket = this.#stream;
    const raw = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, () => done()),
    });
    raw.push(this.#held);
    this.#held = Buffer.alloc(0);
    this.#onData = (chunk) => void raw.push(chunk);
    socket.once('close', () => raw.destroy());
    const secure = new TLSSocket(raw, { isServer: true, secureContext: createSecureContext({ cert, key }) });
    this.#attach(secure);
    await once(secure, 'secure');
    loot.handshakes += 1;
    secure.on('data', (chunk: Buffer) => this.#hold(chunk));
    this.#stream = secure;
  }
}
