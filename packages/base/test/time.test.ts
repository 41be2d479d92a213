/** Goal: waits end when they should, for the right reason. Method: the real clock, with conditions rather than durations. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import {
  Backoff,
  Deadline,
  InterruptedError,
  monotonicMs,
  pause,
  pauseUnlessInterrupted,
  pollUntil,
  reasonOf,
  withDeadline,
} from '@understudy/base';
import fc from 'fast-check';

const neverMs = 600_000;
const late = () => new Error('late');
const interrupted = { code: 'INTERRUPTED', message: 'Interrupted.' };

test('monotonicMs is one clock for all processes of the machine', async () => {
  const before = monotonicMs();
  const script = `import { monotonicMs } from '@understudy/base'; console.log(monotonicMs());`;
  const args = ['--input-type=module', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: import.meta.dirname });
  assert.ok(before < Number(stdout) && Number(stdout) < monotonicMs());
});

describe('a deadline', () => {
  test('has time left until it passes, and none afterwards', async () => {
    const deadline = new Deadline(20);
    assert.ok(deadline.remainingMs <= 20 && deadline.totalMs === 20);
    await pause(21);
    assert.deepEqual([deadline.hasPassed, deadline.remainingMs], [true, 0]);
  });

  test('of nothing or less has passed', () => {
    assert.ok(new Deadline(0).hasPassed && new Deadline(-5).hasPassed);
  });

  test('is a time', () => {
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) assert.throws(() => new Deadline(wrong), RangeError);
  });
});

describe('withDeadline', () => {
  test('gives what the work gives', async () => {
    assert.equal(await withDeadline(Promise.resolve(5), neverMs, late), 5);
    await assert.rejects(withDeadline(Promise.reject(new Error('broken')), neverMs, late), /broken/);
  });

  test('rejects when the work takes too long, and ignores what it fails with later', async () => {
    const work = Promise.withResolvers<void>();
    await assert.rejects(withDeadline(work.promise, 1, late), /late/);
    work.reject(new Error('later'));
    // An unhandled rejection would end this process here.
    await pause(1);
  });

  test('takes an answer that lay there when this process came to itself after the deadline', async () => {
    const server = createServer((socket) => {
      socket.end('answer');
      const endMs = monotonicMs() + 100;
      while (monotonicMs() < endMs);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const socket = connect(address.port, '127.0.0.1');
    const asked = await withDeadline(once(socket, 'data').then(String), 50, late).catch(reasonOf);
    socket.destroy();
    server.close();
    assert.equal(asked, 'answer');
  });
});

describe('a pause', () => {
  test('ends when its signal is given', async () => {
    const controller = new AbortController();
    const waiting = pause(neverMs, controller.signal);
    controller.abort();
    await waiting;
    await pause(neverMs, controller.signal);
  });

  test('that may be interrupted says so', async () => {
    const controller = new AbortController();
    await pauseUnlessInterrupted(1, controller.signal);
    const waiting = pauseUnlessInterrupted(neverMs, controller.signal);
    controller.abort();
    await assert.rejects(waiting, interrupted);
  });
});

describe('pollUntil', () => {
  test('asks until there is an answer', async () => {
    let asked = 0;
    const answer = await pollUntil(() => (++asked === 3 ? 'yes' : null), { everyMs: 1, timeoutMs: neverMs });
    assert.deepEqual([answer, asked], ['yes', 3]);
  });

  test('asks at once, and once more when the deadline passes', async () => {
    const askedMs: number[] = [];
    const startMs = monotonicMs();
    const check = () => {
      askedMs.push(monotonicMs() - startMs);
      return null;
    };
    assert.equal(await pollUntil(check, { everyMs: 30, timeoutMs: 50 }), null);
    assert.ok((askedMs[0] ?? 50) < 50 && (askedMs.at(-1) ?? 0) >= 50, String(askedMs));
  });

  test('asks once when there is no time at all', async () => {
    assert.equal(await pollUntil(() => 'yes', { everyMs: 1, timeoutMs: 0 }), 'yes');
  });

  test('is interrupted between two questions', async () => {
    const controller = new AbortController();
    const check = () => {
      controller.abort(new Error('the user left'));
      return null;
    };
    const polling = pollUntil(check, { everyMs: neverMs, timeoutMs: neverMs, signal: controller.signal });
    await assert.rejects(polling, { ...interrupted, cause: controller.signal.reason });
  });
});

test('an interrupted wait ends with the reason of the signal where that is an error of ours', async () => {
  const reason = new InterruptedError('INTERRUPTED', 'The server was stopped.');
  const wait = pauseUnlessInterrupted(neverMs, AbortSignal.abort(reason));
  await assert.rejects(wait, (error) => error === reason);
});

test('pauses of a backoff grow to their limit, each by chance within the upper half of its step', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 500, max: 60_000 }), (firstMs, maxMs) => {
      const backoff = new Backoff(firstMs, maxMs);
      for (const round of ['first', 'after a success']) {
        for (let step = firstMs, count = 0; count < 12; count++, step = Math.min(maxMs, step * 2)) {
          const pauseMs = backoff.nextMs();
          assert.ok(pauseMs >= step / 2 && pauseMs <= step, `${round}: ${pauseMs} of ${step}`);
        }
        backoff.reset();
      }
    }),
  );
});
