/** Goal: staggered attempts end as soon as they can and leave nothing running. Method: attempts driven by hand. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Failure } from '../src/etcd/failure.ts';
import { type Outcome, race } from '../src/etcd/race.ts';

const NEVER_MS = 2 ** 30;

function failure(helps: Failure['helps'] = 'endpoint'): Outcome<string> {
  return { kind: 'failed', failure: { endpoint: 'e', code: 'unavailable', effect: 'none', helps, text: 'down' } };
}

/** An attempt that is silent until its signal aborts. */
function silent(log: string[], name: string) {
  return (signal: AbortSignal) =>
    new Promise<Outcome<string>>((resolve) => {
      log.push(`${name} began`);
      signal.addEventListener('abort', () => {
        log.push(`${name} was aborted`);
        resolve(failure());
      });
    });
}

const wins = (value: string) => async (): Promise<Outcome<string>> => ({ kind: 'value', value });

it('starts the next at once when one fails, and asks no further ones after a success', async () => {
  const log: string[] = [];
  const starts = [async () => failure(), wins('second'), silent(log, 'third')];
  const result = await race(starts, NEVER_MS, new AbortController().signal);
  assert.deepEqual(result, { kind: 'won', value: 'second', index: 1 });
  assert.deepEqual(log, []);
});

it('does not wait for a silent one, and aborts it when another one wins', async () => {
  const log: string[] = [];
  const result = await race([silent(log, 'first'), wins('second')], 1, new AbortController().signal);
  assert.deepEqual(result, { kind: 'won', value: 'second', index: 1 });
  assert.deepEqual(log, ['first began', 'first was aborted']);
});

it('ends with all failures when all failed', async () => {
  const result = await race([async () => failure(), async () => failure()], NEVER_MS, new AbortController().signal);
  assert.equal(result.kind === 'lost' && result.failures.length, 2);
});

it('ends at a failure that no other endpoint can help', async () => {
  const log: string[] = [];
  const starts = [async () => failure('nothing'), silent(log, 'second')];
  const result = await race(starts, NEVER_MS, new AbortController().signal);
  assert.equal(result.kind === 'lost' && result.failures.length, 1);
  assert.deepEqual(log, []);
});

it('ends when it is aborted, with some attempts begun and others not', async () => {
  const log: string[] = [];
  const controller = new AbortController();
  const running = race([silent(log, 'first'), silent(log, 'second')], NEVER_MS, controller.signal);
  controller.abort();
  assert.equal((await running).kind, 'lost');
  assert.deepEqual(log, ['first began', 'first was aborted']);
  const early = await race([async () => failure(), silent(log, 'never')], NEVER_MS, controller.signal);
  assert.equal(early.kind, 'lost');
});
