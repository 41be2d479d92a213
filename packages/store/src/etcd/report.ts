/** From failures of single requests to the one StoreError that the caller gets. */

import type { Deadline, Retry } from '@understudy/base';
import { StoreError, type StoreErrorCode } from '../errors.ts';
import type { Failure } from './failure.ts';

/** Codes that another endpoint may not have, but that time does not heal: once all have failed, one of them is final. */
const LASTING = new Set<StoreErrorCode>(['unauthorized', 'wrong-cluster', 'protocol-error']);

/** Next steps that are other ones for etcd than for the local store. */
const NEXT_STEP: Partial<Record<StoreErrorCode, string>> = {
  'wrong-cluster': 'Correct store.endpoints: all of them have to be members of one etcd cluster.',
  'store-full': 'Compact and defragment etcd, then disarm its NOSPACE alarm.',
};

/** The failure that makes trying on pointless, or null when time or another attempt may help. */
export function lastFailure(failures: readonly Failure[]): Failure | null {
  const hopeless = failures.find((f) => f.helps !== 'endpoint');
  if (hopeless !== undefined) return hopeless;
  // An endpoint that is merely down may be the right one when it comes back, but then its wrong twin has to go anyway.
  return failures.find((f) => LASTING.has(f.code)) ?? null;
}

/** `kind` is `read` for requests without lasting effect: for them an unknown outcome does no harm. */
export function fromFailure(failure: Failure, kind: 'read' | 'transaction'): StoreError {
  const unknown = kind === 'transaction' && failure.effect === 'unknown';
  const code = unknown ? 'outcome-unknown' : failure.code;
  const retry: Retry = unknown ? 'unknown' : failure.helps === 'endpoint' && !LASTING.has(code) ? 'safe' : 'unsafe';
  const next = NEXT_STEP[code] ?? StoreError.table[code].next;
  return new StoreError(code, `etcd ${failure.endpoint}: ${failure.text}.`, { retry, next });
}

/** The error when time ran out (or the store was closed) with nothing but these failures in the last round. */
export function describeFailures(failures: readonly Failure[], deadline: Deadline, closed: boolean): StoreError {
  if (closed) {
    return new StoreError('closed', 'The etcd store was closed by this process.');
  }
  const code: StoreErrorCode = failures.some((f) => f.text.endsWith('in time')) ? 'deadline-exceeded' : 'unavailable';
  const seen = failures.map((f) => `${f.endpoint}: ${f.text}`).join('; ') || 'no endpoint was reached';
  return new StoreError(code, `etcd gave no usable answer within ${Math.round(deadline.totalMs)} ms (${seen}).`, {
    retry: 'safe',
    next: 'Check that a majority of its members runs and can be reached.',
  });
}
