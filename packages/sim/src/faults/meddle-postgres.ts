import { openByHand, setUpstream } from '../server/lifecycle.ts';
import type { SimServer } from '../server/server.ts';
import { endReceiver } from '../server/stream.ts';
import type { Random } from '../time/random.ts';
import type { Target } from './target.ts';

/**
 * What somebody does to a server of PostgreSQL behind its agent's back. `receive`: a replica, sealed or not, is given a connection string with
 * a password of its own, to the server that it followed last, under the member's plain name. `open`: it is opened for writes.
 */
export interface PostgresMeddling {
  readonly kind: 'meddle-postgres';
  readonly node: Target;
  readonly how: 'receive' | 'open';
}

export function drawPostgresMeddling(random: Random, node: Target): PostgresMeddling {
  return { kind: 'meddle-postgres', node, how: random.pick(['receive', 'receive', 'open'] as const) };
}

/** Servers of MySQL and MariaDB have other switches: nothing happens to them. */
export function meddlePostgres(server: SimServer, how: PostgresMeddling['how'], leads: 'yes' | 'no'): void {
  if (server.flavour !== 'postgres' || server.frozen || server.process !== 'replica') return;
  if (how === 'open') {
    // Of the recorded leader it would be the opening that its agent is about to order.
    if (leads === 'no') openByHand(server);
    return;
  }
  const source = server.configuredUpstream ?? server.lastUpstream;
  if (source === null) return;
  const { receiver } = server;
  setUpstream(server, source);
  server.conninfoByHand = true;
  if (receiver !== null) endReceiver(receiver);
  server.changed();
}
