/** A TCP proxy on loopback that can lose what the server answers. */

import { connect, createServer, type Server, type Socket } from 'node:net';

export class LossyProxy {
  /** Requests, by their path, that were passed on so far. */
  readonly passed: string[] = [];
  /** While set, the answer to a request with this path is thrown away and the connection cut. */
  loseAnswersTo: string | null = null;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(targetPort: number) {
    this.#server = createServer((client) => this.#serve(client, targetPort));
  }

  static async start(targetPort: number): Promise<LossyProxy> {
    const proxy = new LossyProxy(targetPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get endpoint(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return `http://127.0.0.1:${address.port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(client: Socket, targetPort: number): void {
    const target = connect(targetPort, '127.0.0.1');
    let lost = false;
    for (const socket of [client, target]) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        target.destroy();
      });
    }
    client.on('data', (chunk) => {
      const path = /^POST (\S+) HTTP/.exec(chunk.toString('latin1'))?.[1];
      if (path !== undefined) this.passed.push(path);
      if (path !== undefined && path === this.loseAnswersTo) lost = true;
      target.write(chunk);
    });
    target.on('data', (chunk) => {
      if (lost) client.destroy();
      else client.write(chunk);
    });
  }
}
