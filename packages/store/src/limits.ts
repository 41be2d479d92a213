/** Limits on what goes into a store, checked before anything is sent, the same for every adapter. */

import { Deadline } from '@understudy/base';
import { StoreError } from './errors.ts';
import type { Compare, Write } from './port.ts';

export const MAX_KEY_BYTES = 512;
/** etcd refuses requests above 1.5 MiB by default; base64 and the envelope are not counted there. */
export const MAX_TRANSACTION_BYTES = 1024 * 1024;
/** etcd's default --max-txn-ops, which counts compares and writes apart. */
export const MAX_OPERATIONS = 128;
export const MAX_LEASE_TTL_MS = 24 * 3600 * 1000;
/** Longer waits are mistakes, and timers overflow far beyond it. */
const MAX_DEADLINE_MS = 600_000;

/** The deadline of a call, from now. Throws StoreError `invalid-argument` when it is none that a call can have. */
export function callDeadline(deadlineMs: number): Deadline {
  if (!Number.isFinite(deadlineMs) || deadlineMs <= 0 || deadlineMs > MAX_DEADLINE_MS) {
    const problem = `deadlineMs is ${deadlineMs}; it has to be above 0 and at most ${MAX_DEADLINE_MS}.`;
    throw new StoreError('invalid-argument', problem);
  }
  return new Deadline(deadlineMs);
}

/** Throws StoreError `invalid-argument` for a transaction that some adapter could not carry out faithfully. */
export function checkTransaction(compares: readonly Compare[], writes: readonly Write[]): void {
  if (compares.length > MAX_OPERATIONS || writes.length > MAX_OPERATIONS) {
    refuse(`a transaction has at most ${MAX_OPERATIONS} compares and as many writes`);
  }
  let bytes = 0;
  const written = new Set<string>();
  for (const compare of compares) {
    bytes += checkKey(compare.key);
    // etcd would take 0 to mean "absent", which is a compare of its own.
    const isNever =
      compare.kind === 'unchanged' && !(Number.isSafeInteger(compare.modRevision) && compare.modRevision > 0);
    if (isNever) refuse(`"unchanged" of "${compare.key}" needs the modRevision that was read`);
  }
  for (const write of writes) {
    bytes += checkKey(write.key);
    if (written.has(write.key)) refuse(`key "${write.key}" is written twice in one transaction`);
    written.add(write.key);
    if (write.kind === 'put') bytes += checkText(write.value, `the value of "${write.key}"`);
  }
  if (bytes > MAX_TRANSACTION_BYTES) {
    refuse(`a transaction has at most ${MAX_TRANSACTION_BYTES} bytes of keys and values, this one has ${bytes}`);
  }
}

/** Throws StoreError `invalid-argument` unless `ttlMs` is a duration that every adapter can keep. */
export function checkLeaseTtl(ttlMs: number): void {
  if (!Number.isFinite(ttlMs) || ttlMs < 1 || ttlMs > MAX_LEASE_TTL_MS) {
    refuse(`ttlMs is ${ttlMs}; it has to be between 1 and ${MAX_LEASE_TTL_MS}`);
  }
}

function checkKey(key: string): number {
  const bytes = checkText(key, 'a key');
  if (bytes === 0 || bytes > MAX_KEY_BYTES) refuse(`a key has 1 to ${MAX_KEY_BYTES} bytes, this one has ${bytes}`);
  return bytes;
}

function checkText(text: string, what: string): number {
  // A lone surrogate has no UTF-8 form: it would come back as another character.
  if (!text.isWellFormed()) refuse(`${what} is not well-formed Unicode`);
  return Buffer.byteLength(text, 'utf8');
}

function refuse(problem: string): never {
  throw new StoreError('invalid-argument', `Refused before sending: ${problem}.`);
}
