import type { MemberId } from '@understudy/core';
import { accountOf, accounts, ackAccount, quoteAccount, quoteLiteral } from '../names.ts';

/**
 * What every server runs while it starts: the agent's account with its present password, whoever's copy the data is. Not written to
 * the binary log; the other accounts are replicated from the leader, where they are made after a promotion.
 *
 * @param members whose acknowledgers may log in. A replica counts nobody's acknowledgements, and one that is opened locks out those who must
 *   not count before it counts: so the others need not be waited for then.
 */
export function accountStatements(adminPassword: string, members: Iterable<MemberId> = []): string {
  const admin = quoteAccount(accounts.admin, 'localhost');
  const password = quoteLiteral(adminPassword);
  const statements = [
    'SET SESSION sql_log_bin = 0',
    `CREATE USER IF NOT EXISTS ${admin} IDENTIFIED BY ${password}`,
    `ALTER USER ${admin} IDENTIFIED BY ${password}`,
    `GRANT ALL ON *.* TO ${admin} WITH GRANT OPTION`,
  ];
  const ackers = [...members].map((member) => accountOf(ackAccount(member)));
  if (ackers.length > 0) statements.push(`ALTER USER IF EXISTS ${ackers.join(', ')} ACCOUNT UNLOCK`);
  // The server reads a statement per line.
  return statements.map((statement) => `${statement};\n`).join('');
}
