import type { EngineFactory } from '@understudy/agent';

/** Makes the engine that a node's configuration names; only that one is loaded. */
export const engineFactory: EngineFactory = async (context) => {
  switch (context.config.engine.kind) {
    case 'postgres':
      return (await import('./postgres.ts')).postgresEngine(context);
  }
};
