import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lasting } from '../src/run/converge.ts';

describe('a node that is behind', () => {
  const signal = new AbortController().signal;

  it('is whole when it catches up in a moment', async () => {
    const answers = ['n2 has applied 8, not yet 9', 'n2 has applied 8, not yet 9'];
    const ask = async () => answers.shift() ?? null;
    assert.equal(await lasting(ask, { everyMs: 1, timeoutMs: 60_000, signal }), null);
  });

  it('is told of when it does not', async () => {
    const problem = await lasting(async () => 'is not a replica', { everyMs: 1, timeoutMs: 20, signal });
    assert.equal(problem, 'is not a replica');
  });
});
