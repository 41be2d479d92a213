import { parseStoreConfig, type StoreConfig } from './config.ts';
import type { Store } from './port.ts';

/**
 * Opens the consensus store that the configuration names.
 *
 * The local store is opened at once and its file made when missing. For etcd only the configuration and the files it
 * names are checked: an agent has to be able to start while the store is down. Throws StoreError.
 */
export async function openStore(config: StoreConfig): Promise<Store> {
  const checked = parseStoreConfig(config);
  // Only the one that is used is loaded: an agent that replaces a dead one has little time.
  if (checked.kind === 'local') return (await import('./local/store.ts')).openLocalStore(checked);
  return (await import('./etcd/store.ts')).openEtcdStore(checked);
}
