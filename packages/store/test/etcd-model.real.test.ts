/** Goal: etcd, as the adapter speaks to it, does what a plain map would. Method: as for the local store. */

import { describe, it } from 'node:test';
import { openStore } from '@understudy/store';
import fc from 'fast-check';
import { EtcdServers, etcdPrograms } from './support/etcd.ts';
import { follow, history } from './support/model.ts';

for (const program of await etcdPrograms()) {
  describe(`etcd ${program.version}`, () => {
    it('agrees with the model on random histories', async (t) => {
      const servers = await EtcdServers.start(program, { members: 1 });
      t.after(() => servers.stop());
      let run = 0;
      await fc.assert(
        fc.asyncProperty(history, async (steps) => {
          run += 1;
          const store = await openStore({ kind: 'etcd', endpoints: servers.endpoints, cluster: `run-${run}` });
          try {
            await follow(store, steps);
          } finally {
            await store.close();
          }
        }),
        { numRuns: 40 },
      );
    });
  });
}
