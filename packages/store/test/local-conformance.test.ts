/** Goal: the local adapter keeps the port's promises. Method: the conformance suite on a file in a temporary folder. */

import { DatabaseSync } from 'node:sqlite';
import { storeConformance } from '@understudy/store/conformance';
import { makeLocalPlace } from './support/local.ts';

storeConformance('local store', async () => {
  const place = makeLocalPlace();
  return {
    open: (cluster) => place.open(cluster),
    disturbances: [
      {
        name: 'the log was folded into the file by somebody else',
        run: async () => {
          const db = new DatabaseSync(place.path, { timeout: 5_000 });
          db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
          db.close();
        },
      },
    ],
    shortTtlMs: 300,
    secrets: [],
    stop: async () => place.remove(),
  };
});
