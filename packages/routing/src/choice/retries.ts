import { elapsedMs, type Ms } from '@understudy/core';

/** Retries as a share of what is asked, so that a fault is not answered with a storm. */
export interface RetryBudget {
  readonly tokens: number;
  readonly atMs: Ms;
}

export interface RetryPolicy {
  /** Retries that one statement earns: 0.1 allows one in ten. */
  readonly share: number;
  /** Retries a second that are allowed whatever the load. */
  readonly perSecond: number;
  readonly tokensMax: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = { share: 0.1, perSecond: 10, tokensMax: 100 };

export const newRetryBudget = (nowMs: Ms, policy: RetryPolicy): RetryBudget => ({
  tokens: policy.tokensMax,
  atMs: nowMs,
});

/** After `statements` were sent for the first time. */
export function earnRetries(budget: RetryBudget, statements: number, nowMs: Ms, policy: RetryPolicy): RetryBudget {
  const seconds = Math.max(0, elapsedMs(budget.atMs, nowMs)) / 1000;
  const tokens = budget.tokens + statements * policy.share + seconds * policy.perSecond;
  return { tokens: Math.min(policy.tokensMax, tokens), atMs: nowMs };
}

/** The budget after one retry, or null when there is none left: the error goes to the client. */
export function takeRetry(budget: RetryBudget, nowMs: Ms, policy: RetryPolicy): RetryBudget | null {
  const now = earnRetries(budget, 0, nowMs, policy);
  return now.tokens < 1 ? null : { ...now, tokens: now.tokens - 1 };
}

export interface BackoffPolicy {
  readonly baseMs: number;
  readonly maxMs: number;
}

export const DEFAULT_BACKOFF: BackoffPolicy = { baseMs: 10, maxMs: 1_000 };

/**
 * How long to wait before attempt `attempt` (1 is the first repetition): uniform between 0 and a bound that doubles ("full jitter").
 *
 * @param draw a random number in [0, 1).
 */
export function backoffMs(attempt: number, policy: BackoffPolicy, draw: number): number {
  return draw * Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(Math.max(0, attempt - 1), 30));
}
