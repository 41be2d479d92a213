export { MEMORY_ENVIRONMENT } from './agent/memory.ts';
export {
  type AgentEnd,
  type EngineContext,
  type EngineFactory,
  type RunningAgent,
  type RunOptions,
  runAgent,
  type ServerFate,
} from './agent/run-agent.ts';
export { openApiDocument } from './api/openapi.ts';
export * from './client.ts';
