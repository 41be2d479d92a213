import type { Member } from '@understudy/core';
import { accountOf, accounts, ackAccount, ownAccount, quoteAccount, quoteLiteral } from '../names.ts';
import type { Flavour } from '../programs.ts';
import { sessionSetup } from '../sql/setup.ts';
import { verifierOf } from '../sql/verifier.ts';

/**
 * No policy about the age or the reuse of passwords, and no `max_user_connections`, may keep the agent out: a server that does not take its
 * account does not serve. The password itself is in no statement.
 */
const passwordStatements: Readonly<Record<Flavour, (admin: string, stored: string) => readonly string[]>> = {
  mysql: (admin, stored) => {
    const unaged =
      'WITH MAX_USER_CONNECTIONS 1000 PASSWORD EXPIRE NEVER PASSWORD HISTORY 0 PASSWORD REUSE INTERVAL 0 DAY';
    const login = `IDENTIFIED WITH caching_sha2_password AS ${stored}`;
    return [
      `CREATE USER IF NOT EXISTS ${admin} ${login} ${unaged}`,
      `ALTER USER ${admin} ${unaged}`,
      `ALTER USER ${admin} ${login}`,
    ];
  },
  // A plugin that checks passwords refuses what it cannot read, one against reuse the same again; neither can be told to leave an account alone.
  mariadb: (admin, stored) => {
    const same = `JSON_VALUE(Priv, '$.authentication_string') = ${stored}`;
    const login = `IDENTIFIED VIA mysql_native_password USING ${stored}`;
    const create = `CREATE USER IF NOT EXISTS ${admin} ${login}`;
    const alter = `ALTER USER ${admin} ${login}`;
    return [
      'SET @strict = @@global.strict_password_validation',
      'SET GLOBAL strict_password_validation = OFF',
      `SET @there = (SELECT COUNT(*) FROM mysql.global_priv WHERE User = '${accounts.admin}' AND Host = 'localhost')`,
      `EXECUTE IMMEDIATE IF(@there > 0, 'DO 0', ${quoteLiteral(create)})`,
      `SET @same = (SELECT COUNT(*) FROM mysql.global_priv WHERE User = '${accounts.admin}' AND Host = 'localhost' AND ${same})`,
      `EXECUTE IMMEDIATE IF(@same > 0, 'DO 0', ${quoteLiteral(alter)})`,
      'SET GLOBAL strict_password_validation = @strict',
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
export function accountStatements(flavour: Flavour, adminPassword: string, members: Iterable<Opened> = []): string {
  const admin = quoteAccount(accounts.admin, 'localhost');
  const statements = [
    // The server runs them with what users set for all sessions: a backslash in a password would be another one.
    ...sessionSetup,
    'SET SESSION sql_log_bin = 0',
    ...passwordStatements[flavour](admin, quoteLiteral(verifierOf(flavour, adminPassword))),
    `GRANT ALL ON *.* TO ${admin} WITH GRANT OPTION`,
  ];
  const ackers = [...members].flatMap(accountsOf).map(accountOf);
  if (ackers.length > 0) statements.push(`ALTER USER IF EXISTS ${ackers.join(', ')} ACCOUNT UNLOCK`);
  // The server reads a statement per line.
  return statements.map((statement) => `${statement};\n`).join('');
}

type Opened = Pick<Member, 'id' | 'logins'>;

/** With which a member may acknowledge. */
const accountsOf = ({ id, logins }: Opened): readonly string[] => [
  ...(logins?.shared === 'left' ? [] : [ackAccount(id)]),
  ...(logins?.own ?? []).map(({ slot }) => ownAccount(id, slot)),
];
