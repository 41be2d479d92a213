export * from './choice/choose.ts';
export * from './choice/health.ts';
export * from './choice/policy.ts';
export * from './choice/retries.ts';
export { type Retry, ROUTING_ERROR_CODES, RoutingError, type RoutingErrorCode } from './errors.ts';
export * from './explain/explain-route.ts';
export * from './failover/hold-queue.ts';
export * from './failover/outcome.ts';
export * from './failover/signs.ts';
export * from './failover/table.ts';
export * from './freshness/freshness.ts';
export * from './freshness/position-clock.ts';
export * from './levels/level.ts';
export * from './levels/read-settings.ts';
export * from './levels/settings.ts';
export { buildPgCatalog } from './postgres/build-catalog.ts';
export * from './postgres/catalog.ts';
export * from './postgres/classifier.ts';
export type { PgGrammar, PgNode, PgParse } from './postgres/grammar.ts';
export * from './postgres/wal-capture.ts';
export * from './statement/classification.ts';
export * from './statement/transaction-route.ts';
export * from './token/codec.ts';
export * from './token/standing.ts';
export {
  emptyToken,
  mergeTokens,
  newToken,
  PROOFS,
  type Proof,
  type Token,
  type TokenEntry,
  type TokenPosition,
} from './token/token.ts';
export * from './topology/topology.ts';
