/** How the end of a server is noticed that an earlier agent started, and whose parent we are not. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { hasEnded, startTicks } from '../src/process/proc.ts';

describe('a process of somebody else', () => {
  it('has ended when it is gone, and when its number is another process by now', async (context) => {
    const child = spawn('sleep', ['600'], { stdio: 'ignore' });
    context.after(() => child.kill('SIGKILL'));
    const { pid } = child;
    assert.ok(pid !== undefined);
    const ticks = await startTicks(pid);
    assert.ok(ticks !== null);
    assert.equal(hasEnded(pid, ticks), false);
    assert.equal(hasEnded(pid, String(Number(ticks) + 1)), true);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    assert.equal(hasEnded(pid, ticks), true);
  });
});
