/** Goal: the etcd adapter keeps the port's promises. Method: the conformance suite on real servers of each version. */

import { openStore } from '@understudy/store';
import { type StoreFixture, storeConformance } from '@understudy/store/conformance';
import { type EtcdProgram, EtcdServers, etcdPrograms } from './support/etcd.ts';

for (const program of await etcdPrograms()) {
  for (const members of [1, 3] as const) {
    storeConformance(`etcd ${program.version}, ${members} member(s)`, () => start(program, members));
  }
}

async function start(program: EtcdProgram, members: 1 | 3): Promise<StoreFixture> {
  const servers = await EtcdServers.start(program, { members });
  let handles = 0;
  return {
    open: (cluster) => {
      // Each handle prefers another member, so that what one member says late or differently would be seen.
      handles += 1;
      const first = handles % members;
      const endpoints = [...servers.endpoints.slice(first), ...servers.endpoints.slice(0, first)];
      return openStore({ kind: 'etcd', endpoints, cluster });
    },
    disturbances: [
      { name: 'every revision was compacted', run: () => compact(servers) },
      { name: 'all members were killed and started again', run: () => restartAll(servers) },
      { name: 'the first member was killed and started again', run: () => restartFirst(servers) },
    ],
    shortTtlMs: 1_000,
    secrets: [],
    stop: () => servers.stop(),
  };
}

async function compact(servers: EtcdServers): Promise<void> {
  const store = await openStore({ kind: 'etcd', endpoints: servers.endpoints, cluster: 'compaction' });
  const { revision } = await store.read({ deadlineMs: 10_000 });
  await store.close();
  const body = JSON.stringify({ revision: String(revision), physical: true });
  const response = await fetch(`${servers.endpoints[0]}/v3/kv/compaction`, { method: 'POST', body });
  if (!response.ok) throw new Error(`compaction failed: ${await response.text()}`);
}

async function restartAll(servers: EtcdServers): Promise<void> {
  await Promise.all(servers.members.map((member) => member.end('SIGKILL')));
  for (const member of servers.members) member.start();
  await servers.ready();
}

async function restartFirst(servers: EtcdServers): Promise<void> {
  const [first] = servers.members;
  await first?.end('SIGKILL');
  first?.start();
  await servers.ready();
}
