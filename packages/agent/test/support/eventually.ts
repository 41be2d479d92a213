/** Waits until `look` returns something; fails with what it saw last. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | null> | T | null,
  limitMs = 60_000,
): Promise<T> {
  const endsAt = performance.now() + limitMs;
  let last: unknown = 'nothing';
  while (performance.now() < endsAt) {
    try {
      const seen = await look();
      if (seen !== null) return seen;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`not within ${limitMs} ms: ${what} (${String(last)})`);
}
