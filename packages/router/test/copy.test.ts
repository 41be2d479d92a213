// Goal: a server that has read the beginning of a message of a COPY gets its end, or nobody uses it any more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeClientMessage } from '@understudy/wire/postgres';
import { completed, failure, type Harness, harness, ready, type Script } from './session-harness.ts';

/** Refuses the first row while the second one is on its way. */
const script: Script = (asked, say) => {
  if (asked.startsWith('Q copy')) say({ kind: 'copy-in', format: { format: 0, columnFormats: [] } });
  else if (asked === 'd bad row') say(failure('22P02'), ready());
  else if (asked.startsWith('Q')) say(completed('SELECT 1'), ready());
};

const second = encodeClientMessage({ kind: 'copy-data', bytes: Buffer.from('the second row') });

async function untilRefused(): Promise<Harness> {
  const run = await harness(script);
  run.sends({ kind: 'query', text: 'copy t from stdin' });
  await run.until(() => run.said.length === 1);
  run.sendsBytes(
    Buffer.concat([encodeClientMessage({ kind: 'copy-data', bytes: Buffer.from('bad row') }), second.subarray(0, 9)]),
  );
  await run.until(() => run.said.length === 3);
  assert.deepEqual(run.said, ['copy-in', 'error 22P02', 'ready I']);
  return run;
}

test('the error comes between two pieces of a message: the server gets the rest, and then the next statement', async () => {
  const run = await untilRefused();
  run.sendsBytes(second.subarray(9, 12));
  run.sendsBytes(Buffer.concat([second.subarray(12), encodeClientMessage({ kind: 'query', text: 'select 1' })]));
  await run.until(() => run.said.length === 5);
  assert.deepEqual(run.asked, ['Q copy t from stdin', 'd bad row', 'd the second row', 'Q select 1']);
  assert.deepEqual(run.said.slice(3), ['SELECT 1', 'ready I']);
  run.stop();
});

test('until the end of the message nobody else gets the server', async () => {
  const run = await untilRefused();
  assert.equal(run.pool.counts().active, 1);
  run.sendsBytes(second.subarray(9));
  assert.equal(run.pool.counts().idle, 1);
  run.stop();
});

test('the client leaves in the middle of a message: its server is closed', async () => {
  const run = await untilRefused();
  run.session.close();
  await run.until(() => run.open.size === 0);
  run.stop();
});
