export type { Revision } from '@understudy/base';
export type { EtcdStoreConfig, LocalStoreConfig, StoreConfig } from './config.ts';
export { parseStoreConfig, storeConfigSchema } from './config.ts';
export { StoreError, type StoreErrorCode } from './errors.ts';
export { openStore } from './open.ts';
export type {
  CallOptions,
  Compare,
  KeepAliveResult,
  KeyValue,
  Lease,
  LeaseId,
  Snapshot,
  Store,
  StoreId,
  TransactionResult,
  Watch,
  WatchListener,
  Write,
} from './port.ts';
