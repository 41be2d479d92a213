import { createServer } from 'node:net';
import { codeOf, reasonOf } from '@understudy/base';
import { EngineError } from '../../index.ts';

/**
 * Tries to bind as the server will: its own message about a taken port is only in its log.
 *
 * @param hosts a comma-separated list; `*` is every address.
 * @throws EngineError `ENGINE_PORT_IN_USE`.
 */
export async function requireFreePort(hosts: string, port: number): Promise<void> {
  for (const host of hosts.split(',').map((name) => name.trim())) {
    const problem = await bindProblem(host === '*' ? undefined : host, port);
    if (problem === null) continue;
    const text =
      codeOf(problem) === 'EADDRINUSE'
        ? `Port ${port} on ${host} is in use by another program. Stop it, or configure another port.`
        : `The server cannot listen on ${host}:${port}: ${reasonOf(problem)}. Correct the listen address.`;
    throw new EngineError('ENGINE_PORT_IN_USE', text);
  }
}

function bindProblem(host: string | undefined, port: number): Promise<Error | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen({ port, ...(host === undefined ? {} : { host }), exclusive: true }, () => {
      server.close(() => resolve(null));
    });
  });
}
