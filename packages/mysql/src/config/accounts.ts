import type { MemberId } from '@understudy/core';
import { accountOf, accounts, ackAccount, quoteAccount, quoteLiteral } from '../names.ts';
import type { Flavour } from '../programs.ts';
import { sessionSetup } from '../sql/setup.ts';

/** No policy about the age or the reuse of passwords, and no `max_user_connections`, may keep the agent out: a server that does not take its account does not serve. */
const passwordStatements: Readonly<Record<Flavour, (admin: string, password: string) => readonly string[]>> = {
  mysql: (admin, password) => {
    const unaged =
      'WITH MAX_USER_CONNECTIONS 1000 PASSWORD EXPIRE NEVER PASSWORD HISTORY 0 PASSWORD REUSE INTERVAL 0 DAY';
    return [
      `CREATE USER IF NOT EXISTS ${admin} IDENTIFIED BY ${password} ${unaged}`,
      `ALTER USER ${admin} ${unaged}`,
      `ALTER USER ${admin} IDENTIFIED BY ${password}`,
    ];
  },
  // Its plugin against reuse refuses the same password again, and cannot be told to leave an account alone.
  mariadb: (admin, password) => {
    const same = `JSON_VALUE(Priv, '$.authentication_string') = PASSWORD(${password})`;
    const create = `CREATE USER IF NOT EXISTS ${admin} IDENTIFIED BY ${password}`;
    const alter = `ALTER USER ${admin} IDENTIFIED BY ${password}`;
    return [
      `SET @there = (SELECT COUNT(*) FROM mysql.global_priv WHERE User = '${accounts.admin}' AND Host = 'localhost')`,
      `EXECUTE IMMEDIATE IF(@there > 0, 'DO 0', ${quoteLiteral(create)})`,
      `SET @same = (SELECT COUNT(*) FROM mysql.global_priv WHERE User = '${accounts.admin}' AND Host = 'localhost' AND ${same})`,
      `EXECUTE IMMEDIATE IF(@same > 0, 'DO 0', ${quoteLiteral(alter)})`,
      `ALTER USER ${admin} PASSWORD EXPIRE NEVER`,
    ];
  },
};

/**
 * What every server runs while it starts: the agent's account with its present password, whoever's copy the data is. Not written to
 * the binary log; the other accounts are replicated from the leader, where they are made after a promotion.
 *
 * @param members whose acknowledgers may log in. A replica counts nobody's acknowledgements, and one that is opened locks out those who must
 *   not count before it counts: so the others need not be waited for then.
 */
export function accountStatements(flavour: Flavour, adminPassword: string, members: Iterable<MemberId> = []): string {
  const admin = quoteAccount(accounts.admin, 'localhost');
  const statements = [
    // The server runs them with what users set for all sessions: a backslash in a password would be another one.
    ...sessionSetup,
    'SET SESSION sql_log_bin = 0',
    ...passwordStatements[flavour](admin, quoteLiteral(adminPassword)),
    `GRANT ALL ON *.* TO ${admin} WITH GRANT OPTION`,
  ];
  const ackers = [...members].map((member) => accountOf(ackAccount(member)));
  if (ackers.length > 0) statements.push(`ALTER USER IF EXISTS ${ackers.join(', ')} ACCOUNT UNLOCK`);
  // The server reads a statement per line.
  return statements.map((statement) => `${statement};\n`).join('');
}
