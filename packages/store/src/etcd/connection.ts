/**
 * HTTP to one etcd endpoint over a few kept sockets.
 *
 * Two things need more care than an ordinary HTTP client takes. The request is written only once its socket stands, so
 * that a failure before that is known to have had no effect. And a socket counts as trusted only after it has answered
 * a linearizable read of the right cluster, so that nothing is ever written to an etcd that took over the address of another one.
 */

import {
  type Agent,
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { monotonicMs, type Revision } from '@understudy/base';

import { type Failure, judgeAnswer, judgeConnection } from './failure.ts';
import type { AnswerHeader } from './header.ts';
import { headerOf } from './messages.ts';
import type { TlsFiles } from './tls-files.ts';

const MAX_SOCKETS = 8;
const MAX_FREE_SOCKETS = 4;
const TCP_KEEPALIVE_MS = 5_000;
/** Far above what tens of keys need; a guard against an endpoint that never stops sending. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

export interface RequestOptions {
  readonly token: string | null;
  readonly signal: AbortSignal;
  /** `trusted-only`: send nothing unless the socket has proved which cluster it leads to. */
  readonly socket: 'any' | 'trusted-only';
  /** For a linearizable read: the revision that its answer cannot be older than. Null for every other request. */
  readonly floor: Revision | null;
}

export type Reply =
  | { readonly kind: 'answer'; readonly body: unknown }
  /** Nothing was sent, because the socket is new. Make a probe first. */
  | { readonly kind: 'untrusted' }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Says whether an answer may be used: {@link Identity.check}. */
export type IdentityCheck = (header: AnswerHeader, endpoint: string, floor: Revision | null) => Failure | null;

export class Connection {
  readonly endpoint: string;
  readonly #url: URL;
  readonly #agent: Agent;
  readonly #tls: TlsFiles;
  readonly #checkIdentity: IdentityCheck;
  readonly #trusted = new WeakSet<Socket>();
  #lastAnswerMs = Number.NEGATIVE_INFINITY;

  constructor(endpoint: string, tls: TlsFiles, checkIdentity: IdentityCheck) {
    this.#url = new URL(endpoint);
    this.endpoint = this.#url.origin;
    this.#tls = tls;
    this.#checkIdentity = checkIdentity;
    const options = {
      keepAlive: true,
      keepAliveMsecs: TCP_KEEPALIVE_MS,
      maxSockets: MAX_SOCKETS,
      maxFreeSockets: MAX_FREE_SOCKETS,
      scheduling: 'lifo' as const,
      noDelay: true,
    };
    this.#agent = this.#url.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /** Milliseconds since the endpoint last gave a good answer; infinite before the first one. */
  get silentMs(): number {
    return monotonicMs() - this.#lastAnswerMs;
  }

  /** One POST with a JSON body and a JSON answer. Never rejects. */
  async post(path: string, body: object, options: RequestOptions): Promise<Reply> {
    const payload = Buffer.from(JSON.stringify(body));
    const opened = await this.#send(path, payload, options, this.#agent);
    if (opened.kind !== 'response') return opened;
    const read = await readBody(opened.response);
    if (read.kind === 'failed') return this.#failed(read.error, true);
    const json = parseJson(read.text);
    if (opened.response.statusCode !== 200) {
      return {
        kind: 'failed',
        failure: judgeAnswer(this.endpoint, opened.response.statusCode ?? 0, json ?? read.text),
      };
    }
    return this.#accept(json, opened.socket, options.floor);
  }

  /**
   * One POST whose answer is an endless stream, on a socket of its own. Resolves when the answer begins; the caller
   * reads `response` and ends the stream by aborting the signal. Never rejects.
   */
  async stream(
    path: string,
    body: object,
    options: RequestOptions,
  ): Promise<{ readonly kind: 'response'; readonly response: IncomingMessage } | Exclude<Reply, { kind: 'answer' }>> {
    const opened = await this.#send(path, Buffer.from(JSON.stringify(body)), options, false);
    if (opened.kind !== 'response' || opened.response.statusCode === 200) return opened;
    const read = await readBody(opened.response);
    if (read.kind === 'failed') return this.#failed(read.error, true);
    const failure = judgeAnswer(this.endpoint, opened.response.statusCode ?? 0, parseJson(read.text) ?? read.text);
    return { kind: 'failed', failure };
  }

  close(): void {
    this.#agent.destroy();
  }

  #accept(json: unknown, socket: Socket, floor: Revision | null): Reply {
    const header = headerOf(json);
    if (header === null) {
      const text = 'the answer has no cluster id: this is not an etcd v3 JSON gateway';
      return {
        kind: 'failed',
        failure: { endpoint: this.endpoint, code: 'protocol-error', effect: 'unknown', helps: 'endpoint', text },
      };
    }
    const mismatch = this.#checkIdentity(header, this.endpoint, floor);
    if (mismatch !== null) return { kind: 'failed', failure: mismatch };
    // Only a linearizable read shows both which cluster this is and that it has not lost its past.
    if (floor !== null) this.#trusted.add(socket);
    this.#lastAnswerMs = monotonicMs();
    return { kind: 'answer', body: json };
  }

  #send(
    path: string,
    payload: Buffer,
    options: RequestOptions,
    agent: Agent | false,
  ): Promise<
    | { readonly kind: 'response'; readonly response: IncomingMessage; readonly socket: Socket }
    | Exclude<Reply, { kind: 'answer' }>
  > {
    return new Promise((resolve) => {
      if (options.signal.aborted) {
        resolve(this.#failed(new Error('no time was left to send'), false));
        return;
      }
      const request = this.#open(path, payload.length, options.token, agent);
      let sent = false;
      const abort = () => request.destroy(new Error(sent ? 'no answer in time' : 'no connection in time'));
      options.signal.addEventListener('abort', abort, { once: true });
      request.on('close', () => options.signal.removeEventListener('abort', abort));
      request.on('error', (error) => resolve(this.#failed(error, sent)));
      request.on('socket', (socket) => {
        whenConnected(socket, this.#url.protocol === 'https:', () => {
          if (options.socket === 'trusted-only' && !this.#trusted.has(socket)) {
            resolve({ kind: 'untrusted' });
            request.destroy();
            return;
          }
          sent = true;
          request.end(payload);
        });
        request.on('response', (response) => resolve({ kind: 'response', response, socket }));
      });
    });
  }

  #open(path: string, payloadBytes: number, token: string | null, agent: Agent | false): ClientRequest {
    const isTls = this.#url.protocol === 'https:';
    const options = {
      // The URL keeps brackets around IPv6 addresses; sockets want them without.
      host: this.#url.hostname.replace(/^\[|\]$/g, ''),
      port: this.#url.port === '' ? (isTls ? 443 : 80) : Number(this.#url.port),
      method: 'POST',
      path,
      agent,
      headers: {
        'Content-Type': 'application/json',
        'Content-Length': payloadBytes,
        // Refused at once by a member without leader, instead of waiting there (etcd issue 10819).
        'Grpc-Metadata-hasleader': 'true',
        ...(token === null ? {} : { Authorization: token }),
      },
    };
    // Given with each request, not to the agent: its sockets are kept apart by them, so replaced files are used at once.
    return isTls ? httpsRequest({ ...options, ...this.#tls.current() }) : httpRequest(options);
  }

  #failed(error: Error, sent: boolean): { readonly kind: 'failed'; readonly failure: Failure } {
    return { kind: 'failed', failure: judgeConnection(this.endpoint, error, sent) };
  }
}

/** A kept socket is connected already. Writing earlier would only fill a buffer, and "sent" would say too much. */
function whenConnected(socket: Socket, isTls: boolean, then: () => void): void {
  if (socket.connecting) socket.once(isTls ? 'secureConnect' : 'connect', then);
  else then();
}

function readBody(
  response: IncomingMessage,
): Promise<{ readonly kind: 'text'; readonly text: string } | { readonly kind: 'failed'; readonly error: Error }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) response.destroy(new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`));
    });
    response.on('end', () => resolve({ kind: 'text', text: Buffer.concat(chunks).toString('utf8') }));
    response.on('error', (error) => resolve({ kind: 'failed', error }));
    response.on('close', () => resolve({ kind: 'failed', error: new Error('the answer broke off') }));
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
