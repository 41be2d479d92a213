/** Every change is recorded, and `GET /understudy/changes` shows what was changed through this agent, and by whom. */

import { randomUUID } from 'node:crypto';
import { monotonicMs } from '@understudy/base';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { bodyText, type ChangeRecord } from '../access/audit.ts';
import { Refusals } from '../access/refusals.ts';
import type { Agent } from '../agent/agent.ts';
import type { Callers } from './callers.ts';
import type { ChangesView } from './views.ts';

export async function changesView(agent: Agent): Promise<ChangesView> {
  return { member: agent.self, changes: [...(await agent.changes.read())] };
}

const READING = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Records what somebody known asks to be changed before it is done, and how it ended. Strangers are not recorded: they could fill the file,
 * and nothing came of it. What is refused before anything was done is recorded too, some of each caller and the rest as a number.
 */
export function recordChanges(server: FastifyInstance, record: ChangeRecord, callers: Callers): void {
  const begun = new WeakMap<FastifyRequest, string>();
  const isRecorded = (request: FastifyRequest): boolean =>
    !READING.has(request.method) && callers.of(request).by !== 'nothing';
  const refusals = new Refusals();
  const begin = async (request: FastifyRequest, skipped = 0): Promise<void> => {
    const id = randomUUID();
    begun.set(request, id);
    const { remoteAddress = 'unknown', remotePort = 0 } = request.raw.socket;
    await record.begun(id, {
      wallMs: Date.now(),
      who: callers.of(request).who,
      from: `${remoteAddress.replace(/^::ffff:/, '')} port ${remotePort}`,
      what: `${request.method} ${request.url.split('?')[0] ?? ''}`.slice(0, 500),
      body: bodyText(request.body),
      ...(skipped > 0 ? { skipped } : {}),
    });
  };
  server.addHook('preHandler', async (request) => {
    if (isRecorded(request)) await begin(request);
  });
  server.addHook('onResponse', async (request, reply) => {
    if (!isRecorded(request) || request.is404) return;
    if (!begun.has(request)) {
      const { who } = callers.of(request);
      const refusal = refusals.note(`${who} ${request.raw.socket.remoteAddress ?? ''}`, monotonicMs());
      if (refusal.kind === 'counted') return;
      await begin(request, refusal.skipped);
    }
    const id = begun.get(request);
    if (id !== undefined) await record.ended(id, reply.statusCode);
  });
}
