/** `POST /reload`: the node's file is read again. */

import { loadTokens } from '../access/tokens.ts';
import type { Agent } from '../agent/agent.ts';
import { loadNodeConfig } from '../config/node-file.ts';
import { ConfigError } from '../config/problems.ts';
import { reloadOf } from '../config/reload.ts';
import { AgentError } from '../errors.ts';
import { problem } from './errors.ts';
import type { ReloadView } from './views.ts';

/**
 * Reads the node's file, and that of the tokens, and takes over what can change while the agent runs. A file with any mistake changes nothing.
 *
 * @param file null: this agent was not started from a file
 * @throws HttpProblem
 */
export async function reloadConfig(agent: Agent, file: string | null): Promise<ReloadView> {
  if (file === null) {
    throw problem(409, 'NO_CONFIG_FILE', 'This agent was not started from a file.', 'Start it again to change it.');
  }
  const {
    config,
    applied: settings,
    needsRestart,
  } = reloadOf(agent.config, await readOrRefuse(() => loadNodeConfig(file)));
  const { tokenFile } = config.api;
  const tokens = tokenFile === undefined ? [] : await readOrRefuse(() => loadTokens(tokenFile));
  const areNew = JSON.stringify(tokens) !== JSON.stringify(agent.tokens);
  const applied = areNew ? [...settings, 'api.tokenFile'] : settings;
  agent.reconfigure(config, tokens);
  const isNew = applied.length + needsRestart.length > 0;
  return { reload: isNew ? 'done' : 'nothing-new', applied: [...applied], needsRestart: [...needsRestart] };
}

async function readOrRefuse<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const wrong = problem(422, error.code, error.message, 'Correct the file; the configuration in force was kept.');
    if (!(error instanceof ConfigError)) throw wrong;
    const problems = error.problems.map(({ key, line, message, fix }) => ({ key, line, message, fix }));
    throw Object.assign(wrong, { body: { ...wrong.body, problems } });
  }
}
