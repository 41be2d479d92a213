/** What answers the agent's HTTP calls. Loaded when the first decision has been taken: with all it needs, it takes a third of a start. */

import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Agent } from '../agent/agent.ts';
import type { Logger } from '../agent/logger.ts';
import { codeOf, messageOf } from '../errors.ts';
import { subscriberOf } from '../peers/introduction.ts';
import { monotonicMs } from '../time/clock.ts';
import { authorize } from './auth.ts';
import { addCopyRoute } from './copy.ts';
import { HttpProblem, problem } from './errors.ts';
import type { Listener } from './listener.ts';
import { metrics } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { HEALTH_CHECKS, nodeStatus, type Query } from './patroni.ts';
import { ROUTES, type Route } from './routes.ts';

export interface ApiOptions {
  readonly agent: Agent;
  /** Bearer token of changes; null: none is accepted. */
  readonly token: string | null;
  readonly log: Logger;
  readonly detach: () => void;
  /** Where the node's configuration was read from; null: from nowhere. */
  readonly configFile: string | null;
}

const MAX_BODY_BYTES = 256 * 1024;

/** Answers what comes to `listener`, with all paths. */
export async function serveApi(options: ApiOptions, listener: Listener): Promise<void> {
  const { agent } = options;
  // It answers only; the port and its limits are the listener's.
  const server = Fastify({ logger: false, bodyLimit: MAX_BODY_BYTES, exposeHeadRoutes: false });
  acceptAnyBody(server);
  answerErrors(server, options);
  addHealthChecks(server, agent);
  addRoutes(server, options);
  await server.ready();
  listener.serve((request, response) => server.routing(request, response));
}

/** Bodies are JSON whatever they are labelled as: `curl -d` sends them as a form. */
function acceptAnyBody(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'string' }, (_request, text, done) => {
    if (text === '') return done(null, undefined);
    try {
      done(null, JSON.parse(String(text)));
    } catch {
      done(
        problem(400, 'BODY_NOT_JSON', 'The request body is not JSON.', 'Send a JSON object; see GET /openapi.json.'),
      );
    }
  });
}

function answerErrors(server: FastifyInstance, { log }: ApiOptions): void {
  server.setErrorHandler((error, request, reply) => {
    const known = error instanceof HttpProblem ? error : fastifyProblem(error);
    if (known !== null) return reply.code(known.status).send(known.body);
    log.error({ err: error, path: request.url }, 'an HTTP call failed; this is a mistake in Understudy');
    return reply
      .code(500)
      .send({ code: 'INTERNAL', message: messageOf(error), next: 'Please report it with the log.' });
  });
  server.setNotFoundHandler((request, reply) => {
    const next = 'GET /openapi.json lists the paths.';
    return reply
      .code(404)
      .send({ code: 'NO_SUCH_PATH', message: `${request.method} ${request.url} is not a path of this API.`, next });
  });
}

function fastifyProblem(error: unknown): HttpProblem | null {
  switch (codeOf(error, '')) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return problem(413, 'BODY_TOO_LARGE', `The request body is larger than ${MAX_BODY_BYTES} bytes.`, 'Send less.');
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return problem(400, 'BODY_INVALID', 'The request body is not as long as its header says.', 'Send it again.');
    default:
      return null;
  }
}

function addHealthChecks(server: FastifyInstance, agent: Agent): void {
  for (const [path, holds] of Object.entries(HEALTH_CHECKS)) {
    const handler = (request: FastifyRequest, reply: FastifyReply) => {
      const status = holds(agent, queryOf(request)) ? 200 : 503;
      if (request.method !== 'GET') return reply.code(status).send();
      return reply.code(status).send(nodeStatus(agent));
    };
    server.route({ method: ['GET', 'HEAD', 'OPTIONS'], url: path, handler });
  }
}

function queryOf(request: FastifyRequest): Query {
  const { query } = request;
  if (typeof query !== 'object' || query === null) return {};
  return Object.fromEntries(
    Object.entries(query).map(([key, value]) => [key, Array.isArray(value) ? String(value[0]) : String(value)]),
  );
}

function addRoutes(server: FastifyInstance, options: ApiOptions): void {
  const { agent } = options;
  for (const route of ROUTES) addRoute(server, route, options);
  addCopyRoute(server, options);
  server.get('/metrics', (_request, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(metrics(agent)),
  );
  server.get('/openapi.json', (_request, reply) => reply.send(openApiDocument()));
  server.get('/events', (request, reply) => {
    reply.hijack();
    const subscriber = subscriberOf(request.raw, options.token);
    if (!agent.hub.subscribe(reply.raw, monotonicMs(), subscriber)) reply.raw.writeHead(503).end();
  });
}

function addRoute(server: FastifyInstance, route: Route, options: ApiOptions): void {
  const { agent, token, detach, configFile } = options;
  const isChange = route.method !== 'GET';
  server.route({
    method: route.method === 'GET' ? ['GET', 'HEAD', 'OPTIONS'] : route.method,
    url: route.path,
    // Before the body is read: who may not change anything is not listened to.
    onRequest: async (request) => {
      if (isChange) authorize(request.raw, agent.config.api, token);
    },
    handler: async (request, reply) => {
      const ifMatch = request.headers['if-match'] ?? null;
      const { body } = request;
      const answer = await route.handle({ agent, body, params: paramsOf(request), ifMatch, detach, configFile });
      return reply
        .code(answer.status)
        .headers({ ...answer.headers })
        .send(answer.body);
    },
  });
}

function paramsOf(request: FastifyRequest): Readonly<Record<string, string>> {
  const { params } = request;
  if (typeof params !== 'object' || params === null) return {};
  return Object.fromEntries(Object.entries(params).map(([key, value]) => [key, String(value)]));
}
