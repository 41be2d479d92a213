import { setUpstream } from '../server/lifecycle.ts';
import { requireAcks } from '../server/semi-sync.ts';
import type { SimServer } from '../server/server.ts';
import type { Random } from '../time/random.ts';
import type { Meddling, Target } from './fault.ts';

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
