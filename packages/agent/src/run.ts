/** What it takes to run an agent, and nothing else: a new agent has to be there before the time of its primary is over. */

export {
  type AgentEnd,
  type EngineContext,
  type EngineFactory,
  type RunningAgent,
  type RunOptions,
  runAgent,
  type ServerFate,
} from './agent/run-agent.ts';
export { loadNodeConfig } from './config/node-file.ts';
