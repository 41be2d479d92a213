import { setUpstream } from '../server/lifecycle.ts';
import { requireAcks } from '../server/semi-sync.ts';
import type { SimServer } from '../server/server.ts';
import type { Random } from '../time/random.ts';
import type { Target } from './fault.ts';

/**
 * What somebody does to a server of MySQL or MariaDB behind its agent's back. `close`: read_only is switched on, which keeps ordinary clients
 * out only. `receive`: a receiver is started by hand, as an acknowledger, from the server that it followed last. `count`: a replica is told
 * to wait for acknowledgements.
 */
export interface Meddling {
  readonly kind: 'meddle';
  readonly node: Target;
  readonly how: 'close' | 'receive' | 'count';
}

export function drawMeddling(random: Random, node: Target): Meddling {
  return { kind: 'meddle', node, how: random.pick(['close', 'receive', 'receive', 'count'] as const) };
}

/** Servers of PostgreSQL have other switches: nothing happens to them. */
export function meddle(server: SimServer, how: Meddling['how']): void {
  if (server.flavour === 'postgres' || server.frozen) return;
  if (how === 'close' && server.process === 'primary') server.closedByHand = true;
  if (server.process !== 'replica') return;
  if (how === 'count') requireAcks(server, 1);
  if (how === 'receive') {
    const source = server.configuredUpstream ?? server.lastUpstream;
    if (source === null) return;
    server.account = 'ack';
    setUpstream(server, source);
  }
  server.changed();
}
