import { parseStoreConfig, type StoreConfig } from './config.ts';
import { openEtcdStore } from './etcd/store.ts';
import { openLocalStore } from './local/store.ts';
import type { Store } from './port.ts';

/**
 * Opens the consensus store that the configuration names.
 *
 * The local store is opened at once and its file made when missing. For etcd only the configuration and the files it
 * names are checked: an agent has to be able to start while the store is down. Throws StoreError.
 */
export async function openStore(config: StoreConfig): Promise<Store> {
  const checked = parseStoreConfig(config);
  return checked.kind === 'local' ? openLocalStore(checked) : openEtcdStore(checked);
}
