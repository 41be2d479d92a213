import { reasonOf } from '@understudy/base';
/** `POST /understudy/copy`: the files of this member's server, for the agent of another one. What is in the stream only the engines know. */

import type { ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { TLSSocket } from 'node:tls';
import { memberId } from '@understudy/core';
import { type Engine, EngineError } from '@understudy/engine';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.ts';
import type { Logger } from '../agent/logger.ts';
import { COPY_PATH, COPY_TRAILER, formatVerdict } from '../codec/copy-verdict.ts';
import { isLoopback } from '../config/address.ts';
import type { NodeConfig } from '../config/node-config.ts';
import { authorize } from './auth.ts';
import { type HttpProblem, problem } from './errors.ts';
import { copyBodySchema } from './requests.ts';

const AHEAD_BYTES = 1024 * 1024;

export interface CopyRouteOptions {
  readonly agent: {
    readonly engine: Pick<Engine, 'name' | 'sendCopy'>;
    readonly config: NodeConfig;
    readonly counters: { copies: number };
  };
  readonly callerOf: (request: FastifyRequest) => Caller;
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

export function addCopyRoute(server: FastifyInstance, options: CopyRouteOptions): void {
  const { agent, callerOf } = options;
  server.route({
    method: 'POST',
    url: COPY_PATH,
    // Before the body is read, as with changes: what is asked for is everything. It is for members; being on this machine is not enough.
    onRequest: async (request) => {
      const { raw } = request;
      authorize(callerOf(request), 'member', agent.config.api, 'some');
      const way = raw.socket instanceof TLSSocket ? 'encrypted' : 'plain';
      requireSecrecy(agent.config.engine, way, raw.socket.remoteAddress ?? '');
    },
    handler: (request, reply) => sendCopy(options, request, reply),
  });
}

/** Streams a copy to the caller, who has been authorized. @throws HttpProblem as long as nothing has been sent */
async function sendCopy(
  { agent, log, callerOf }: CopyRouteOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const wanted = copyBodySchema.safeParse(request.body ?? {});
  if (!wanted.success) {
    throw problem(400, 'BODY_INVALID', 'The request for a copy is wrong.', 'See GET /openapi.json.');
  }
  const { engine } = agent;
  const body = new PassThrough({ highWaterMark: AHEAD_BYTES });
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  const { member, ...product } = wanted.data;
  const caller = callerOf(request);
  if (caller.member !== 'some' && caller.member !== member) {
    throw problem(
      403,
      'MEMBERS_ONLY',
      `${caller.member} asked as ${member}: each asks for its own.`,
      'Correct the caller.',
    );
  }
  const work =
    engine.sendCopy?.({ member: memberId(member), ...product }, body, gone.signal) ??
    Promise.reject(new EngineError('ENGINE_COPY_UNAVAILABLE', `Files of ${engine.name} are not sent.`));
  const ended = work.then(
    () => null,
    (error: unknown) => asEngineError(error),
  );
  const refusal = await Promise.race([firstByte(body), ended]);
  if (refusal !== null) throw problemOf(refusal);
  reply.hijack();
  void ended.then(() => body.end());
  const error = await stream(body, reply.raw, ended);
  agent.counters.copies++;
  const level = error === null ? 'info' : 'warn';
  log[level]({ to: member, code: error?.code }, `copy for ${member}: ${error?.message ?? 'sent'}`);
}

/** Everybody's data goes over the wire: where replication has to be encrypted, this has too. @throws HttpProblem 403 */
export function requireSecrecy(
  { tls }: Pick<NodeConfig['engine'], 'tls'>,
  way: 'encrypted' | 'plain',
  caller: string,
): void {
  if (tls === undefined || way === 'encrypted' || isLoopback(caller)) return;
  throw problem(
    403,
    'COPY_NOT_ENCRYPTED',
    'Replication is encrypted here, and this API is not: a copy would give everything away.',
    'Set api.tls on every member. Until then copies are made over encrypted connections of the servers.',
  );
}

function asEngineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  return new EngineError('ENGINE_CLONE_FAILED', reasonOf(error));
}

function problemOf({ code, message }: EngineError): HttpProblem {
  const status = code === 'ENGINE_BUSY' ? 503 : 409;
  return problem(status, code, message, 'Ask again later, or copy the member in another way.');
}

/** Resolves with null when there is something to send; a copy that ends without a byte never gets there. */
function firstByte(body: PassThrough): Promise<null> {
  return new Promise((resolve) => body.once('readable', () => resolve(null)));
}

/** @returns why the copy that was sent is not whole; null when it is */
async function stream(
  body: PassThrough,
  response: ServerResponse,
  ended: Promise<EngineError | null>,
): Promise<EngineError | null> {
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'cache-control': 'no-store',
    connection: 'close',
    trailer: COPY_TRAILER,
  });
  const broken = await pipeline(body, response, { end: false }).then(
    () => null,
    (error: unknown) => asEngineError(error),
  );
  const error = await ended;
  if (broken !== null) {
    response.destroy();
    return broken;
  }
  response.addTrailers({ [COPY_TRAILER]: formatVerdict(error) });
  response.end();
  return error;
}
