/** Links that leave this machine without TLS. Pure. */

import { bareHost, formatAddress, isLoopback } from './address.ts';
import type { NodeConfig } from './node-config.ts';

export interface PlainLink {
  /** The setting that is missing. */
  readonly key: string;
  /** What goes in clear over what. */
  readonly text: string;
}

/** Every link of a node's configuration that goes beyond this machine and is not encrypted. */
export function plainLinks({ api, engine, store }: NodeConfig): readonly PlainLink[] {
  const links: PlainLink[] = [];
  if (api.tls === undefined && !isLoopback(api.listen.host)) {
    const text = `the API on ${formatAddress(api.listen)} is not encrypted: tokens and the state of all members are read by who listens there`;
    links.push({ key: 'api.tls', text });
  }
  if (engine.tls === undefined && !isLoopback(engine.listen.host)) {
    const text = `replication and copies from ${formatAddress(engine.listen)} are not encrypted: all data are read by who listens there`;
    links.push({ key: 'engine.tls', text });
  }
  if (store.kind === 'etcd') {
    const plain = store.endpoints.filter((endpoint) => {
      const { protocol, hostname } = new URL(endpoint);
      return protocol === 'http:' && !isLoopback(bareHost(hostname));
    });
    if (plain.length > 0) {
      const text = `etcd at ${plain.join(', ')} is not encrypted: its password and who leads can be read and changed by who is in between`;
      links.push({ key: 'store.endpoints', text });
    }
  }
  return links;
}

/** What `status` says as long as it is so. */
export const plainWarnings = (config: NodeConfig): readonly string[] =>
  plainLinks(config).map(({ key, text }) => `insecure: ${text} (set ${key}, then take "insecure: true" out)`);
