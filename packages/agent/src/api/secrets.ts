/** `GET /understudy/secrets` and `POST /understudy/secrets/rotate`: which secrets this member has of its own, and new ones. None is shown. */

import { codeOf } from '@understudy/base';
import { replaceFile } from '@understudy/engine/host';
import { afterStep, formatTokens, loadTokens, type TokenStep } from '../access/tokens.ts';
import type { Agent } from '../agent/agent.ts';
import { AgentError } from '../errors.ts';
import { problem } from './errors.ts';
import type { SecretsView } from './views.ts';

export function secretsView({ self, logins, tokens: inForce }: Agent): SecretsView {
  const tokens = inForce.map(({ role, name }) => ({ role, name }));
  if (logins === null) return { member: self, tokens, replication: null };
  const { shared } = logins.registered;
  return {
    member: self,
    tokens,
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

/**
 * Takes a step of the change of a token: in the file first, then in force. Agents that share one file find the step taken and take it over.
 * @throws HttpProblem
 */
export async function changeToken(agent: Agent, step: TokenStep): Promise<SecretsView> {
  const { config } = agent;
  const { tokenFile } = config.api;
  if (tokenFile === undefined) {
    throw problem(
      409,
      'NO_TOKENS',
      'This agent has no api.tokenFile.',
      'Set it in the node’s file, and start the agent again.',
    );
  }
  const before = await loadTokens(tokenFile).catch((error: unknown) => {
    if (!(error instanceof AgentError)) throw error;
    throw problem(409, error.code, error.message, 'Correct the file; the tokens in force were kept.');
  });
  const tokens = afterStep(before, step);
  if (tokens === null) {
    const names = before.map(({ name }) => name).join(', ');
    throw problem(404, 'NO_SUCH_TOKEN', `There is no token "${step.name}" here.`, `Tokens are: ${names}.`);
  }
  if (tokens !== before) {
    await replaceFile(tokenFile, formatTokens(tokens), null).catch((error: unknown) => {
      const text = `${tokenFile} cannot be replaced (${codeOf(error) ?? 'unknown error'}); no token was changed.`;
      throw problem(409, 'TOKEN_FILE_UNWRITABLE', text, 'Put it into a folder that belongs to the agent’s user.');
    });
  }
  agent.reconfigure(config, tokens);
  return secretsView(agent);
}
