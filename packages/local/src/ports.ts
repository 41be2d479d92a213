import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { LocalError } from './errors.ts';

const lowestPort = 20_000;
/** Linux's usual start of the range for outgoing connections; a port in it can be taken at any moment by somebody's client. */
const usualEphemeralStart = 32_768;

/** Whether a server could listen there now. */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * Finds free ports, outside the range from which the system takes those of outgoing connections, so that they stay free while a
 * server restarts.
 *
 * @param taken ports that must not be chosen although they are free now
 * @throws LocalError `NO_FREE_PORT`
 */
export async function findFreePorts(host: string, count: number, taken: ReadonlySet<number>): Promise<number[]> {
  const highest = Math.max(lowestPort + 1000, ephemeralStart()) - 1;
  const found = new Set<number>();
  for (let attempt = 0; attempt < 2000 && found.size < count; attempt += 1) {
    const port = lowestPort + Math.floor(Math.random() * (highest - lowestPort));
    if (!found.has(port) && !taken.has(port) && (await isPortFree(host, port))) found.add(port);
  }
  if (found.size === count) return [...found];
  throw new LocalError('NO_FREE_PORT', `Found only ${found.size} of ${count} free ports on ${host}.`, {
    next: 'End some servers, try again.',
  });
}

function ephemeralStart(): number {
  try {
    const first = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/)[0]);
    return Number.isInteger(first) && first > lowestPort + 1000 ? first : usualEphemeralStart;
  } catch {
    return usualEphemeralStart;
  }
}
