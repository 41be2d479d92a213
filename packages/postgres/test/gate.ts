import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP proxy that holds a client's bytes back from the first piece in which `pattern` occurs, until it is opened. */
export class Gate {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #held: (() => void)[] = [];
  readonly reached: Promise<void>;
  #state: 'watching' | 'open' = 'watching';

  private constructor(target: { host: string; port: number }, pattern: string) {
    let reached: () => void = () => undefined;
    this.reached = new Promise((resolve) => {
      reached = resolve;
    });
    this.#server = createServer((client) => {
      const upstream = connect(target);
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.unref();
        socket.on('error', () => undefined);
        socket.on('close', () => {
          client.destroy();
          upstream.destroy();
        });
      }
      upstream.pipe(client);
      client.on('data', (bytes) => {
        if (this.#state === 'watching' && bytes.includes(pattern)) {
          this.#held.push(() => upstream.write(bytes));
          reached();
        } else upstream.write(bytes);
      });
    });
  }

  static async before(target: { host: string; port: number }, pattern: string): Promise<Gate> {
    const gate = new Gate(target, pattern);
    await new Promise<void>((resolve) => gate.#server.listen(0, '127.0.0.1', resolve));
    // A test that fails must end all the same.
    gate.#server.unref();
    return gate;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  open(): void {
    this.#state = 'open';
    for (const pass of this.#held.splice(0)) pass();
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
