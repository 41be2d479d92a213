/** Statements of the router's own that bring a connection into a known state. */

import type { ErrorFields } from '@understudy/wire/postgres';
import type { ServerConnection } from './server-connection.ts';

/** Forgets everything that a session can have left behind. */
export const DISCARD_ALL = 'DISCARD ALL';

/** Runs the steps one after another, and stops at the first error. */
export function cleanUp(
  server: ServerConnection,
  steps: readonly string[],
  done: (error: ErrorFields | null) => void,
): void {
  const [next, ...rest] = steps;
  if (next === undefined) {
    done(null);
    return;
  }
  server.run(next, (error) => {
    if (error !== null) {
      done(error);
      return;
    }
    if (next === DISCARD_ALL) {
      server.statements.forgetAll();
      server.settings = '';
    }
    cleanUp(server, rest, done);
  });
}
