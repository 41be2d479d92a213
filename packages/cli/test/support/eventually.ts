import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks until the answer is not null.
 *
 * @throws Error naming `what` after the deadline
 */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | null> | T | null,
  timeoutMs = 30_000,
): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > endMs) throw new Error(`Not within ${timeoutMs} ms: ${what}`);
    await delay(50);
  }
}
