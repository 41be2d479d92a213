import { codeOf, monotonicMs, reasonOf } from '@understudy/base';
/** What answers the agent's HTTP calls. Loaded when the first decision has been taken: with all it needs, it takes a third of a start. */

import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { allows, type Caller, type Need } from '../access/caller.ts';
import type { Agent } from '../agent/agent.ts';
import type { Logger } from '../agent/logger.ts';
import { subscriberOf } from '../peers/hub.ts';
import { authorize, authorizeSettings, effectiveNeed } from './auth.ts';
import { Callers, isCalledByOwnName, refuseForeign } from './callers.ts';
import { addCopyRoute } from './copy.ts';
import { HttpProblem, problem } from './errors.ts';
import type { Listener } from './listener.ts';
import { metrics } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { briefStatus, HEALTH_CHECKS, nodeStatus, type Query } from './patroni.ts';
import { recordChanges } from './recorded.ts';
import { ROUTES, type Route } from './routes.ts';

export interface ApiOptions {
  readonly agent: Agent;
  readonly log: Logger;
  readonly detach: () => void;
  /** Where the node's configuration was read from; null: from nowhere. */
  readonly configFile: string | null;
}

/** What all paths need. */
interface Wiring extends ApiOptions {
  readonly callers: Callers;
  readonly gate: Listener['gate'];
}

const MAX_BODY_BYTES = 256 * 1024;

/** Answers what comes to `listener`, with all paths. */
export async function serveApi(options: ApiOptions, listener: Listener): Promise<void> {
  const { agent } = options;
  // It answers only; the port and its limits are the listener's.
  const server = Fastify({ logger: false, bodyLimit: MAX_BODY_BYTES, exposeHeadRoutes: false });
  const callers = new Callers();
  const wiring = { ...options, callers, gate: listener.gate };
  acceptAnyBody(server);
  answerErrors(server, options);
  refuseForeign(server, agent, callers);
  recordChanges(server, agent.changes, callers);
  addHealthChecks(server, wiring);
  addRoutes(server, wiring);
  await server.ready();
  listener.serve((request, response, caller) => {
    callers.set(request, caller);
    server.routing(request, response);
  });
}

/** Bodies are JSON; how they may be labelled is checked before they are read. */
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
    return reply.code(500).send({ code: 'INTERNAL', message: reasonOf(error), next: 'Please report it with the log.' });
  });
  server.setNotFoundHandler((request, reply) => {
    const next = 'GET /openapi.json lists the paths.';
    return reply
      .code(404)
      .send({ code: 'NO_SUCH_PATH', message: `${request.method} ${request.url} is not a path of this API.`, next });
  });
}

function fastifyProblem(error: unknown): HttpProblem | null {
  switch (codeOf(error)) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return problem(413, 'BODY_TOO_LARGE', `The request body is larger than ${MAX_BODY_BYTES} bytes.`, 'Send less.');
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return problem(400, 'BODY_INVALID', 'The request body is not as long as its header says.', 'Send it again.');
    default:
      return null;
  }
}

/** The answer's code is for everybody; what stands in it beyond that, for who may look. */
function addHealthChecks(server: FastifyInstance, { agent, callers }: Wiring): void {
  for (const [path, holds] of Object.entries(HEALTH_CHECKS)) {
    const handler = (request: FastifyRequest, reply: FastifyReply) => {
      const status = holds(agent, queryOf(request)) ? 200 : 503;
      if (request.method !== 'GET') return reply.code(status).send();
      // Load balancers call by any name, and so does a page that lets a name of its own point here: that sees the state alone.
      const mayView =
        isCalledByOwnName(request, agent) && allows(callers.of(request), effectiveNeed('view', agent.config.api));
      return reply.code(status).send(mayView ? nodeStatus(agent) : briefStatus(agent));
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

function addRoutes(server: FastifyInstance, wiring: Wiring): void {
  const { agent, log, callers, gate } = wiring;
  for (const route of ROUTES) addRoute(server, route, wiring);
  addCopyRoute(server, { agent, log, callerOf: ({ raw }) => gate.copierOf(raw) });
  server.get('/metrics', (_request, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(metrics(agent, gate)),
  );
  server.get('/openapi.json', (_request, reply) => reply.send(openApiDocument()));
  server.get('/events', (request, reply) => {
    const caller = callers.of(request);
    try {
      check(agent, caller, 'watch');
    } catch (refusal) {
      agent.unproven.refused(request.ip, agent.link.decoded?.content.members ?? new Map(), monotonicMs());
      throw refusal;
    }
    reply.hijack();
    const subscriber = subscriberOf(caller, request.ip);
    if (!agent.hub.subscribe(reply.raw, monotonicMs(), subscriber)) reply.raw.writeHead(503).end();
  });
}

const check = (agent: Agent, caller: Caller, need: Need): void =>
  authorize(caller, need, agent.config.api, agent.tokens.length > 0 ? 'some' : 'none');

function addRoute(server: FastifyInstance, route: Route, { agent, callers, detach, configFile }: Wiring): void {
  const { needs = route.method === 'GET' ? 'view' : 'admin' } = route;
  server.route({
    method: route.method === 'GET' ? ['GET', 'HEAD', 'OPTIONS'] : route.method,
    url: route.path,
    // Before the body is read: who may not change anything is not listened to.
    onRequest: async (request) => {
      const caller = callers.of(request);
      if (needs === 'settings') authorizeSettings(caller, agent.tokens.length > 0 ? 'some' : 'none');
      else check(agent, caller, typeof needs === 'function' ? 'operate' : needs);
    },
    handler: async (request, reply) => {
      const ifMatch = request.headers['if-match'] ?? null;
      const { body } = request;
      if (typeof needs === 'function') check(agent, callers.of(request), needs(body));
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
