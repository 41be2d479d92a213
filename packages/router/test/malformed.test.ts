// Goal: whatever a client sends, at most its own connection ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeClientMessage } from '@understudy/wire/postgres';
import { completed, harness, ready, type Script } from './session-harness.ts';

const script: Script = (asked, say) => {
  if (asked.startsWith('Q')) say(completed('SELECT 1'), ready());
  if (asked.startsWith('S')) say(ready());
};
const sync = encodeClientMessage({ kind: 'sync' });

for (const type of ['D', 'C', 'B', 'P']) {
  test(`a message ${type} without content, while no server is there yet: the client is told, the router goes on`, async () => {
    const run = await harness(script);
    run.sendsBytes(Buffer.concat([Buffer.from([type.charCodeAt(0), 0, 0, 0, 4]), sync]));
    await run.until(() => run.said.length > 0);
    assert.deepEqual(run.said, ['error 08P01']);
    // The connection that it would have got comes about, and hurts nobody.
    run.pool.wait({
      wanted: 'primary',
      sinceMs: performance.now(),
      bytes: 0,
      take: () => run.stop(),
      refuse: () => run.stop(),
    });
    await run.until(() => run.open.size === 0);
  });
}
