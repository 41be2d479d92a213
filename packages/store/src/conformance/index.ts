/**
 * The conformance suite of the store port: what every adapter has to do, as tests of node:test. Exported as
 * `@understudy/store/conformance`, so that an adapter kept elsewhere can be held to it too.
 */

import { after, before, describe } from 'node:test';
import { dataTests } from './data.ts';
import type { StoreFixture } from './fixture.ts';
import { leaseTests } from './leases.ts';
import { lifecycleTests, watchTests } from './watches.ts';

export type { StoreFixture } from './fixture.ts';
export { WatchLog } from './watch-log.ts';

/** Registers the suite under `name`. `start` brings up a store; the suite stops it at the end, also after failures. */
export function storeConformance(name: string, start: () => Promise<StoreFixture>): void {
  describe(name, () => {
    let running: StoreFixture | null = null;
    before(async () => {
      running = await start();
    });
    after(async () => {
      await running?.stop();
    });
    const fixture = (): StoreFixture => {
      if (running === null) throw new Error('the store of this suite did not start');
      return running;
    };
    describe('data', () => dataTests(fixture));
    describe('leases', () => leaseTests(fixture));
    describe('watches', () => watchTests(fixture));
    describe('lifecycle', () => lifecycleTests(fixture));
  });
}
