/** Who leads, from whatever the configuration names. */

import type { RouterConfig } from '../config/config.ts';
import { readText, serverTlsOf } from '../config/config.ts';
import { followAgents } from './agents.ts';
import type { Follower } from './follower.ts';
import { followServers } from './servers.ts';
import type { ClusterView } from './view.ts';

/** @throws RouterError `FILE_UNREADABLE` */
export async function followCluster(
  config: RouterConfig,
  password: string,
  onView: (view: ClusterView) => void,
): Promise<Follower> {
  const { agents, servers, caFile, tokenFile } = config.cluster;
  if (agents !== undefined) {
    const ca = caFile === undefined ? null : await readText(caFile);
    const token = tokenFile === undefined ? null : (await readText(tokenFile)).trim();
    return followAgents({ urls: agents, ca, token, onView });
  }
  const { user, database } = config.auth;
  return followServers({
    servers: servers ?? [],
    login: { user, password, database },
    tls: await serverTlsOf(config),
    onView,
  });
}
