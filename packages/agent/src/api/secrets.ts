/** `GET /understudy/secrets` and `POST /understudy/secrets/rotate`: which secrets this member has of its own, and new ones. None is shown. */

import type { Agent } from '../agent/agent.ts';
import { problem } from './errors.ts';
import type { SecretsView } from './views.ts';

export function secretsView({ self, logins }: Agent): SecretsView {
  if (logins === null) return { member: self, replication: null };
  const { shared } = logins.registered;
  return {
    member: self,
    replication: {
      login: logins.newest,
      state: logins.isChanging ? 'changing' : 'settled',
      shared,
      problem: logins.problem,
    },
  };
}

/**
 * Begins a rotation of this member's own login. It goes on by itself, whatever becomes of the caller and of this agent.
 * @throws HttpProblem
 */
export async function rotateReplication(agent: Agent): Promise<SecretsView> {
  const { logins } = agent;
  if (logins === null) {
    const text = `Members of ${agent.engine.name} have no logins of their own.`;
    throw problem(409, 'NO_OWN_LOGINS', text, 'Change replication in the secrets files.');
  }
  await logins.rotate();
  agent.hasten();
  return secretsView(agent);
}
