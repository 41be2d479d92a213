/** What keeps anything in a folder of this machine that consists of servers: folders, the lock, ports, secrets, processes. */

export { ensureCertificates } from './certificates.ts';
export { removeFolder } from './cluster.ts';
export { putFile, readText } from './files.ts';
export { type ClusterPaths, clusterPaths, type NodePaths, nodePaths, prepareFolders } from './folder.ts';
export { type FolderLock, lockFolder, lockHolder } from './lock.ts';
export { ensureLogin, loginOf } from './login.ts';
export { socketFolderOf } from './node.ts';
export { folderOf, planState } from './plan.ts';
export { findFreePorts, isPortFree } from './ports.ts';
export { type ProcessMark, processesOf } from './proc.ts';
export { type ClusterSecrets, ensureSecrets, readSecrets } from './secrets.ts';
export { findServer, isSameVersion, reachableServer } from './server.ts';
export { endGently, freeze, killAll } from './signals.ts';
export { newClusterId } from './state.ts';
export { LocalEtcd } from './store.ts';
export { Supervised } from './supervised.ts';
