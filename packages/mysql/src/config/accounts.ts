import { accounts, quoteAccount, quoteLiteral } from '../names.ts';

/**
 * What every server runs while it starts: the agent's account with its present password, whoever's copy the data is. Not written to
 * the binary log; the other accounts are replicated from the leader, where they are made after a promotion.
 */
export function accountStatements(adminPassword: string): string {
  const admin = quoteAccount(accounts.admin, 'localhost');
  const password = quoteLiteral(adminPassword);
  const statements = [
    'SET SESSION sql_log_bin = 0',
    `CREATE USER IF NOT EXISTS ${admin} IDENTIFIED BY ${password}`,
    `ALTER USER ${admin} IDENTIFIED BY ${password}`,
    `GRANT ALL ON *.* TO ${admin} WITH GRANT OPTION`,
  ];
  // The server reads a statement per line.
  return statements.map((statement) => `${statement};\n`).join('');
}
