import type { ConformanceNode } from '@understudy/engine/conformance';
import pg from 'pg';
import { testSecrets } from './harness.ts';

export interface Login {
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
}

/** Opens a connection to a node, runs `work` on it and closes it. */
export async function withClient<T>(
  node: Pick<ConformanceNode, 'host' | 'port'>,
  work: (client: pg.Client) => Promise<T>,
  login: Login = {},
): Promise<T> {
  const { user = 'postgres', password = testSecrets.superuser, database = 'postgres' } = login;
  const client = new pg.Client({ host: node.host, port: node.port, user, password, database });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Runs statements and returns the rows of the last one. */
export function sql(
  node: Pick<ConformanceNode, 'host' | 'port'>,
  text: string,
  login: Login = {},
): Promise<readonly Record<string, unknown>[]> {
  return withClient(
    node,
    async (client) => {
      const answer: pg.QueryResult | pg.QueryResult[] = await client.query(text);
      const last = Array.isArray(answer) ? answer.at(-1) : answer;
      return last?.rows ?? [];
    },
    login,
  );
}
