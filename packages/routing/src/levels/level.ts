/**
 * How fresh a read must be.
 *
 * - `strong`: what the primary shows, whose lease holds.
 * - `bounded`: at most `maxLagMs` behind the primary.
 * - `session`: everything that this session wrote or saw (read your writes, monotonic reads). The default.
 * - `causal`: `session`, and everything that tokens from elsewhere stand for.
 * - `eventual`: any replica.
 */
export type Level =
  | { readonly kind: 'strong' }
  | { readonly kind: 'bounded'; readonly maxLagMs: number }
  | { readonly kind: 'session' }
  | { readonly kind: 'causal' }
  | { readonly kind: 'eventual' };

export const DEFAULT_LEVEL: Level = { kind: 'session' };

/** A longer bound than a day is a mistake of units. */
export const MAX_LAG_MS = 86_400_000;

const BOUNDED = /^bounded\s*\(\s*([0-9]{1,9})\s*(?:ms)?\s*\)$/;

/** Reads `strong`, `bounded(500)`, `bounded(500ms)`, `session`, `causal`, `eventual`, in any case; null for anything else. */
export function parseLevel(text: string): Level | null {
  const word = text.trim().toLowerCase();
  switch (word) {
    case 'strong':
    case 'session':
    case 'causal':
    case 'eventual':
      return { kind: word };
    default: {
      const maxLagMs = Number(BOUNDED.exec(word)?.[1] ?? Number.NaN);
      return maxLagMs >= 1 && maxLagMs <= MAX_LAG_MS ? { kind: 'bounded', maxLagMs } : null;
    }
  }
}

export const formatLevel = (level: Level): string =>
  level.kind === 'bounded' ? `bounded(${level.maxLagMs})` : level.kind;

/** Whether reads at this level ask for a token: only then is a position captured after a commit. */
export const needsToken = (level: Level): boolean => level.kind === 'session' || level.kind === 'causal';
