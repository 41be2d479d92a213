/**
 * The API's port, taken before the API is there: whether it can be had is known before anything else is touched, and what serves it
 * is loaded only after the first decision. Requests that come in between wait.
 */

import { createServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { formatAddress } from '../config/address.ts';
import type { NodeConfig } from '../config/node-config.ts';
import { AgentError, codeOf, messageOf } from '../errors.ts';
import type { PeerTls } from '../peers/stream.ts';

export interface Listener {
  readonly server: HttpServer | HttpsServer;
  /** From now on `handler` answers, first those who have waited. */
  serve(handler: RequestListener): void;
  close(): Promise<void>;
}

const MAX_WAITING = 256;
const SERVER_OPTIONS = {
  requestTimeout: 10_000,
  keepAliveTimeout: 72_000,
  // Load balancers check health in HTTP/1.1 without a Host header.
  requireHostHeader: false,
} as const;

/** Listens where the configuration says. @throws AgentError `API_PORT_IN_USE`, `API_LISTEN_FAILED` */
export async function openListener({ listen, tls }: NodeConfig['api'], files: PeerTls | null): Promise<Listener> {
  const clientCert = tls?.clientCert ?? 'none';
  const server =
    files === null
      ? createServer(SERVER_OPTIONS)
      : createHttpsServer({
          ...SERVER_OPTIONS,
          ...files,
          requestCert: clientCert !== 'none',
          rejectUnauthorized: clientCert === 'required',
        });
  let waiting: Parameters<RequestListener>[] = [];
  const hold: RequestListener = (request, response) => {
    if (waiting.length < MAX_WAITING) waiting.push([request, response]);
    else response.writeHead(503).end();
  };
  server.on('request', hold);
  await listening(server, listen);
  return {
    server,
    serve: (handler) => {
      server.off('request', hold);
      server.on('request', handler);
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
      server.listen(at.port, at.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (cause) {
    const where = formatAddress(at);
    if (codeOf(cause, '') === 'EADDRINUSE') {
      const text = `${where} is taken by another process. Free it, or change api.listen.`;
      throw new AgentError('API_PORT_IN_USE', 'unsafe', text, { cause });
    }
    const text = `The API cannot listen on ${where}: ${messageOf(cause)}. Correct api.listen.`;
    throw new AgentError('API_LISTEN_FAILED', 'unsafe', text, { cause });
  }
}
