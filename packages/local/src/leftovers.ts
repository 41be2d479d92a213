import { nodePaths } from './folder.ts';
import { clusterVariable, LocalNode, socketFolderOf } from './node.ts';
import { processesOf } from './proc.ts';
import { endGently, killAll } from './signals.ts';
import type { ClusterState } from './state.ts';

const etcdGraceMs = 5000;

/**
 * Ends processes of this cluster that an earlier start left running because it was killed itself: agents in order (they stop their
 * servers cleanly), then the store, then whatever is left. Processes are recognised by a random mark of the cluster or by the data
 * directory they work in, never by an id from a file, which could belong to somebody else by now.
 *
 * @returns how many there were.
 */
export async function stopLeftovers(folder: string, state: ClusterState): Promise<number> {
  const mark = { variable: `${clusterVariable}=${state.id}`, folder };
  const found = processesOf(mark);
  if (found.length === 0) return 0;
  await Promise.all(state.nodes.map(({ name }) => leftoverNode(folder, state, name).stop()));
  await endGently(processesOf(mark), etcdGraceMs);
  await killAll(mark);
  return found.length;
}

function leftoverNode(folder: string, state: ClusterState, name: string): LocalNode {
  const paths = nodePaths(folder, name);
  return new LocalNode({
    address: { name, host: '', dbPort: 0, apiUrl: '', socketFolder: socketFolderOf(paths) },
    paths,
    clusterId: state.id,
    command: [],
    token: '',
    ca: null,
    storeMember: null,
    onEvent: () => undefined,
  });
}
