/** What a server connection needs before it can serve a session. */

import type { ServerConnection } from '../server/server-connection.ts';

/** A statement of the router's own. */
export interface Step {
  readonly text: string;
  readonly mustSucceed: boolean;
  readonly forgetsStatements: boolean;
}

const step = (text: string): Step => ({ text, mustSucceed: true, forgetsStatements: false });

/** What a connection needs before it can serve a session; null: nothing. */
export function preparation(
  server: ServerConnection,
  settings: string,
  isTransactionLost: boolean,
): readonly Step[] | null {
  if (server.settings === settings && !isTransactionLost) return null;
  const steps: Step[] = [];
  if (server.settings !== settings) {
    if (server.settings !== '') steps.push({ text: 'DISCARD ALL', mustSucceed: true, forgetsStatements: true });
    if (settings !== '') steps.push(step(settings));
  }
  // The client is in a transaction that is lost: a real one that has failed answers it as PostgreSQL would.
  if (isTransactionLost) steps.push({ text: 'BEGIN; SELECT 1/0', mustSucceed: false, forgetsStatements: false });
  return steps;
}
