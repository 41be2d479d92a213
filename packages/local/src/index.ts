export { AgentApi } from './api.ts';
export { createLocalCluster, LocalCluster, type StartOptions } from './cluster.ts';
export { LocalError, type LocalErrorCode } from './errors.ts';
export { type ClusterPaths, clusterPaths, defaultFolder, type NodePaths, nodePaths } from './folder.ts';
export { type DatabaseLogin, mysqlSocketOf, readLogin } from './login.ts';
export {
  type ClusterDescription,
  describeCluster,
  destroyCluster,
  stopCluster,
  stopOrphans,
} from './manage.ts';
export { namespacesObjection } from './network/ip.ts';
export { Network, sweepNetworks, type VirtualHost } from './network/network.ts';
export { LocalNode } from './node.ts';
export type { ClusterEvent, LocalClusterOptions, NodeAddress, StartPhase, StartProgress } from './options.ts';
export { type Readiness, readinessOf, statusOf, usableLeader, waitText, waitUntilReady } from './ready.ts';
export { type EngineFacts, engineFacts, type LocalEngine, type LocalServer } from './server.ts';
export { thaw } from './signals.ts';
export type { ClusterState, NodeState, StoreState } from './state.ts';
export type { SupervisedEvent } from './supervised.ts';
