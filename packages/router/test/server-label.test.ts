// Goal: the router never believes to know the settings of a server connection that it does not know.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completed, harness, ready, type Script } from './session-harness.ts';

const script: Script = (asked, say) => {
  if (asked.startsWith('Q')) say(completed('SET'), ready());
};

for (const text of [
  'reset work_mem',
  'reset all',
  'discard all',
  'set work_mem to default',
  'select 1; reset work_mem',
]) {
  test(`after ${text} the connection is cleaned before its next use`, async () => {
    const run = await harness(script);
    run.sends({ kind: 'query', text: 'set work_mem = 1' });
    await run.until(() => run.said.length === 2);
    run.sends({ kind: 'query', text });
    await run.until(() => run.said.length === 4);
    run.sends({ kind: 'query', text: 'select 2' });
    await run.until(() => run.said.length === 6);
    assert.deepEqual(run.asked.slice(0, 3), ['Q set work_mem = 1', `Q ${text}`, 'Q DISCARD ALL']);
    assert.equal(run.asked.at(-1), 'Q select 2');
    run.stop();
  });
}

test('settings of requests that were sent without waiting are not followed: the session keeps its connection', async () => {
  const run = await harness(script);
  run.sends({ kind: 'query', text: 'set work_mem = 1' }, { kind: 'query', text: 'set lock_timeout = 1' });
  await run.until(() => run.said.length === 4);
  assert.deepEqual([...run.session.pins], ['untracked-setting']);
  assert.equal(run.session.server?.settings, null);
  run.stop();
});
