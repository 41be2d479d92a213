import { codeOf, reasonOf } from '@understudy/base';
/**
 * The API's port, taken before the API is there: whether it can be had is known before anything else is touched, and what serves it
 * is loaded only after the first decision. Requests that come in between wait.
 */

import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { type Caller, holderOf } from '../access/caller.ts';
import { Gate } from '../access/gate.ts';
import type { Identity } from '../access/identify.ts';
import { formatAddress } from '../config/address.ts';
import type { NodeConfig } from '../config/node-config.ts';
import { AgentError } from '../errors.ts';
import type { PeerTls } from '../peers/stream.ts';

/** Answers a request of somebody who was let in. */
export type Handler = (request: IncomingMessage, response: ServerResponse, caller: Caller) => void;

export interface Listener {
  readonly server: HttpServer | HttpsServer;
  readonly gate: Gate;
  /** From now on `handler` answers, first those who have waited. */
  serve(handler: Handler): void;
  close(): Promise<void>;
}

const MAX_WAITING = 256;
/** What comes while the process is busy waits in the kernel: not so much that its turn would come after its sender has given up. */
const BACKLOG = 1_024;
const SERVER_OPTIONS = {
  /** Whoever is slow holds a connection for as long as this, idle ones between two requests excepted. */
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 72_000,
  // Load balancers check health in HTTP/1.1 without a Host header.
  requireHostHeader: false,
} as const;
const HANDSHAKE_MS = 5_000;

/** Listens where the configuration says. @throws AgentError `API_PORT_IN_USE`, `API_LISTEN_FAILED` */
export async function openListener(
  { listen, tls }: NodeConfig['api'],
  files: PeerTls | null,
  identity: Identity,
): Promise<Listener> {
  const clientCert = tls?.clientCert ?? 'none';
  const server =
    files === null
      ? createServer(SERVER_OPTIONS)
      : createHttpsServer({
          ...SERVER_OPTIONS,
          ...files,
          handshakeTimeout: HANDSHAKE_MS,
          requestCert: clientCert !== 'none',
          rejectUnauthorized: clientCert === 'required',
        });
  const gate = new Gate(server, identity);
  let waiting: Parameters<Handler>[] = [];
  const hold: Handler = (...call) => {
    // How many of those who are known can wait, the gate has counted.
    if (waiting.length < MAX_WAITING || holderOf(call[2]) !== null) waiting.push(call);
    else call[1].writeHead(503).end();
  };
  let handle = hold;
  server.on('request', (request, response) => {
    const caller = gate.enter(request, response);
    if (caller !== null) handle(request, response, caller);
  });
  await listening(server, listen);
  return {
    server,
    gate,
    serve: (handler) => {
      handle = handler;
      for (const call of waiting) handler(...call);
      waiting = [];
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function listening(server: HttpServer | HttpsServer, at: NodeConfig['api']['listen']): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port: at.port, host: at.host, backlog: BACKLOG }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (cause) {
    const where = formatAddress(at);
    if (codeOf(cause) === 'EADDRINUSE') {
      const text = `${where} is taken by another process.`;
      throw new AgentError('API_PORT_IN_USE', text, { next: 'Free it, or change api.listen.', cause });
    }
    const text = `The API cannot listen on ${where}: ${reasonOf(cause)}.`;
    throw new AgentError('API_LISTEN_FAILED', text, { next: 'Correct api.listen.', cause });
  }
}
