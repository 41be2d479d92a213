/** `GET /understudy/kept` and `DELETE /understudy/kept/NAME`: what is kept of data that was replaced. */

import { EngineError } from '@understudy/engine';
import type { Agent } from '../agent/agent.ts';
import { problem } from './errors.ts';
import type { KeptView } from './views.ts';

export async function keptView(agent: Agent): Promise<KeptView> {
  const folders = (await agent.engine.listKept()).map((folder) => ({ ...folder }));
  return { member: agent.self, held: agent.latest?.details.kept.held ?? null, folders };
}

/** @throws ApiProblem 404 when there is none of that name. */
export async function removeKept(agent: Agent, name: string): Promise<void> {
  try {
    await agent.engine.removeKept(name);
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'ENGINE_DATA_REFUSED') throw error;
    throw problem(404, 'NOT_KEPT', error.message, 'GET /understudy/kept lists what is there.');
  }
}
