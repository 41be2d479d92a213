/** Who sent a request, for its handlers; and requests that are refused whoever sent them. */

import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.ts';
import { isOwnHost, objectionTo, type RequestHead } from '../access/request.ts';
import type { Agent } from '../agent/agent.ts';
import { bareHost } from '../config/address.ts';
import { advertisedUrl } from '../config/node-file.ts';
import { problem } from './errors.ts';
import { HEALTH_CHECKS } from './patroni.ts';

const NOBODY: Caller = { who: 'nobody', role: null, member: null, by: 'nothing', wrongToken: false };

/** The gate has found out who sent a request; it is kept as long as the request is. */
export class Callers {
  readonly #of = new WeakMap<IncomingMessage, Caller>();

  set(request: IncomingMessage, caller: Caller): void {
    this.#of.set(request, caller);
  }

  of(request: FastifyRequest): Caller {
    return this.#of.get(request.raw) ?? NOBODY;
  }
}

const REFUSALS = {
  browser: [403, 'ORIGIN_REFUSED', 'Ask with a program, such as curl or understudy.'],
  host: [403, 'HOST_REFUSED', 'Use its address, or name this host in api.hosts.'],
  'content-type': [415, 'CONTENT_TYPE_WRONG', 'Send "content-type: application/json".'],
} as const;

/** Ends requests of web pages and to foreign names. Load balancers may call an agent by any name: that is the one exception. */
export function refuseForeign(server: FastifyInstance, agent: Agent, callers: Callers): void {
  server.addHook('onRequest', async (request) => {
    const isCheck = request.routeOptions.url !== undefined && request.routeOptions.url in HEALTH_CHECKS;
    const head = headOf(request);
    const objection = objectionTo(isCheck ? { ...head, host: null } : head, callers.of(request), namesOf(agent));
    if (objection === null) return;
    const [status, code, next] = REFUSALS[objection.kind];
    throw problem(status, code, objection.message, next);
  });
}

/** Whether a request names this agent as its configuration does, or by an address. */
export const isCalledByOwnName = ({ headers }: FastifyRequest, agent: Agent): boolean =>
  isOwnHost(headers.host ?? null, namesOf(agent));

function headOf({ method, headers }: FastifyRequest): RequestHead {
  const { origin = null, host = null, 'content-type': contentType = null } = headers;
  const site = headers['sec-fetch-site'];
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  return { method, origin, host, contentType, hasBody, fetchSite: typeof site === 'string' ? site : null };
}

/** Names by which this agent is reached: those of its configuration. */
function namesOf({ config }: Agent): ReadonlySet<string> {
  const { hostname } = new URL(advertisedUrl(config));
  return new Set([bareHost(hostname), config.api.listen.host, ...config.api.hosts].map((name) => name.toLowerCase()));
}
