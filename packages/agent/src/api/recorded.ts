/** Every change is recorded, and `GET /understudy/changes` shows what was changed through this agent, and by whom. */

import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { bodyText, type ChangeRecord } from '../access/audit.ts';
import type { Agent } from '../agent/agent.ts';
import type { Callers } from './callers.ts';
import type { ChangesView } from './views.ts';

export async function changesView(agent: Agent): Promise<ChangesView> {
  return { member: agent.self, changes: [...(await agent.changes.read())] };
}

const READING = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Records what somebody known asks to be changed before it is done, and how it ended. Strangers are not recorded: they could fill the file,
 * and nothing came of it.
 */
export function recordChanges(server: FastifyInstance, record: ChangeRecord, callers: Callers): void {
  const begun = new WeakMap<FastifyRequest, string>();
  const isRecorded = (request: FastifyRequest): boolean =>
    !READING.has(request.method) && callers.of(request).by !== 'nothing';
  const begin = async (request: FastifyRequest): Promise<void> => {
    const id = randomUUID();
    begun.set(request, id);
    const { remoteAddress = 'unknown', remotePort = 0 } = request.raw.socket;
    await record.begun(id, {
      wallMs: Date.now(),
      who: callers.of(request).who,
      from: `${remoteAddress.replace(/^::ffff:/, '')} port ${remotePort}`,
      what: `${request.method} ${request.url.split('?')[0] ?? ''}`.slice(0, 500),
      body: bodyText(request.body),
    });
  };
  server.addHook('preHandler', async (request) => {
    if (isRecorded(request)) await begin(request);
  });
  server.addHook('onResponse', async (request, reply) => {
    if (!isRecorded(request) || request.is404) return;
    // It was refused before anything of it was done.
    if (!begun.has(request)) await begin(request);
    const id = begun.get(request);
    if (id !== undefined) await record.ended(id, reply.statusCode);
  });
}
