export type { EtcdStoreConfig, LocalStoreConfig, StoreConfig } from './config.ts';
export { parseStoreConfig, storeConfigSchema } from './config.ts';
export type { LockHolder, Retry, StoreErrorCode, StoreErrorOptions } from './errors.ts';
export { STORE_ERROR_CODES, StoreError } from './errors.ts';
export { openStore } from './open.ts';
export type {
  Brand,
  CallOptions,
  Compare,
  KeepAliveResult,
  KeyValue,
  Lease,
  LeaseId,
  Revision,
  Snapshot,
  Store,
  StoreId,
  TransactionResult,
  Watch,
  WatchListener,
  Write,
} from './port.ts';
