/** Goal: the local store does what a plain map would. Method: random histories on both, compared after each step. */

import { it } from 'node:test';
import fc from 'fast-check';
import { makeLocalPlace } from './support/local.ts';
import { follow, history } from './support/model.ts';

it('agrees with the model on random histories', async (t) => {
  const place = makeLocalPlace();
  t.after(() => place.remove());
  let run = 0;
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      run += 1;
      const store = await place.open(`run-${run}`);
      try {
        await follow(store, steps);
      } finally {
        await store.close();
      }
    }),
    { numRuns: 150 },
  );
});
