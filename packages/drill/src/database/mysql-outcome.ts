import type { Outcome } from '../workload/op.ts';

/**
 * Errors by which MySQL or MariaDB says that a statement of its own transaction was not carried out. Everything else (a session that
 * was ended, a server on its way down, an error during the commit) can come after the transaction was written.
 */
const refused = new Set([
  1040, // too many connections
  1045, // access denied
  1062, // the id is there already
  1142, // no right to the table
  1146, // no such table
  1203, // too many connections of the user
  1205, // waited too long for a lock
  1213, // deadlock
  1290, // the server is read-only
  1792, // the transaction is read-only
  1836, // the server is read-only
]);

/** What the number of an error says about an insert that had been sent as a transaction of its own. */
export function outcomeOfNumber(number: number | null): Exclude<Outcome, 'ok'> {
  return number !== null && refused.has(number) ? 'fail' : 'info';
}
