/** What programs need that talk to agents, without what it takes to be one: a third of the loading time and of the memory. */

export { nearest } from '@understudy/engine/host';
export { afterStep, formatTokens, loadTokens, strongestToken, type Token, type TokenStep } from './access/tokens.ts';
export { lockHolder } from './agent/lock.ts';
export * from './api/requests.ts';
export * from './api/views.ts';
export type { Address } from './config/address.ts';
export { bareHost, formatAddress, isLoopback, parseAddress } from './config/address.ts';
export {
  type ClusterConfigPatch,
  clusterConfigPatchSchema,
  clusterConfigSchema,
  parseClusterConfig,
  patchClusterConfig,
  renewIntervalMs,
  tickMs,
} from './config/cluster-config.ts';
export { memberNameSchema } from './config/member-name.ts';
export { type NodeConfig, type NodeConfigInput, nodeConfigSchema } from './config/node-config.ts';
export { advertisedUrl, loadNodeConfig, parseNodeConfig } from './config/node-file.ts';
export { type PlainLink, plainLinks } from './config/plain.ts';
export { ConfigError, type ConfigProblem, formatProblem } from './config/problems.ts';
export { loadSecretLine, loadSecrets, refuseExposedKeys, type Secrets, secretsSchema } from './config/secrets.ts';
export { AgentError, type AgentErrorCode } from './errors.ts';
export { applyBeat, type Beat, type PeerReport, parseStreamMessage, type StreamMessage } from './peers/report.ts';
export { SseParser } from './peers/sse.ts';
export { type ReplayedDecision, replay } from './ring/replay.ts';
export { OLD_RING_FILE, RING_FILE } from './ring/ring.ts';
