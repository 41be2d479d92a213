/** A node's agent with the real PostgreSQL engine, as a process of its own: `node agent-main.ts <config.yaml>`. */

import { AgentError, loadNodeConfig, runAgent } from '../../src/index.ts';
import { engineFactory } from './engine.ts';

try {
  const configFile = process.argv[2] ?? '';
  const running = await runAgent(await loadNodeConfig(configFile), engineFactory, { configFile });
  const end = await running.ended;
  if (end.kind === 'failed') throw end.error;
} catch (error) {
  const code = error instanceof AgentError ? error.code : 'UNEXPECTED';
  process.stderr.write(`${code}: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
}
