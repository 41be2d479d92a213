import type { EngineFactory } from '@understudy/agent';

/** Makes the engine that a node's configuration names; only that one is loaded. */
export const engineFactory: EngineFactory = async (context) => {
  const { engine } = context.config;
  switch (engine.kind) {
    case 'postgres':
      return (await import('./postgres.ts')).postgresEngine(context, engine);
    case 'mysql':
    case 'mariadb':
      return (await import('./mysql.ts')).mysqlEngine(context, engine);
  }
};
