import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { codeOf, problemOf, reasonOf, UnderstudyError } from '@understudy/base';
import { type PairRequest, requestSchema } from './protocol.ts';

const requestTimeoutMs = 10_000;

/** Answers the commands of this machine over a socket that only the pair's owner may open. */
export class ControlServer {
  readonly #path: string;
  readonly #server: Server;

  constructor(path: string, handle: (request: PairRequest) => Promise<unknown>) {
    this.#path = path;
    this.#server = createServer({ requestTimeout: requestTimeoutMs }, (request, response) => {
      answer(request, handle).then(
        (value) => send(response, 200, { value: value ?? null }),
        (error: unknown) => send(response, 500, { error: plainError(error) }),
      );
    });
  }

  async listen(): Promise<void> {
    // Whoever holds the folder's lock is the only one here: what lies there is of a killed one.
    await rm(this.#path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#path, resolve);
    });
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeAllConnections();
    await closed;
    await rm(this.#path, { force: true });
  }
}

async function answer(request: IncomingMessage, handle: (request: PairRequest) => Promise<unknown>): Promise<unknown> {
  return handle(requestSchema.parse(await json(request)));
}

function send(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** `message` is for commands of a version that knows no other text. */
function plainError(error: unknown): object {
  const { retry, next } = error instanceof UnderstudyError ? error : { retry: 'unknown', next: '' };
  return { code: codeOf(error) ?? 'PAIR_FAILED', message: reasonOf(error), problem: problemOf(error), next, retry };
}
