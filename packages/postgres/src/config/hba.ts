import { membersRole, roles } from '../names.ts';

/** Where the list of slots is read, which is the same in every database. */
export const slotsDatabase = 'postgres';

/**
 * The text of the host-based access file: our lines first, then the user's own.
 *
 * Our superusers are trusted on the socket, which lies in a folder that only the server's user may enter. The roles of
 * replication (the one that members share, and each member's own, which are members of one) and of rewind may do nothing else, and, when there is TLS, only encrypted and with a certificate of
 * the members' authority besides their password; everybody else needs a password,
 * and whoever copies or streams for the user a line of the user's own.
 */
export function renderHba(
  allowFrom: readonly string[],
  tls: 'tls' | 'plain',
  usersOwn: string,
  copiesSlots: 'yes' | 'no' = 'no',
): string {
  const host = tls === 'tls' ? 'hostssl' : 'host';
  const how = tls === 'tls' ? 'scram-sha-256 clientcert=verify-ca' : 'scram-sha-256';
  const lines = [
    `local all ${roles.superuser} trust`,
    `local replication ${roles.superuser} trust`,
    `local all ${roles.agent} trust`,
    `local replication ${roles.agent} trust`,
    `host all ${roles.agent} all reject`,
    `host replication ${roles.agent} all reject`,
    ...allowFrom.flatMap((from) => [
      ...[roles.replication, `+${membersRole}`].flatMap((who) => [
        `${host} replication ${who} ${from} ${how}`,
        // A replica that copies logical slots reads the list of them there.
        ...(copiesSlots === 'yes' ? [`${host} ${slotsDatabase} ${who} ${from} ${how}`] : []),
        // A line for "all" does not cover a physical stream.
        `host replication ${who} ${from} reject`,
        `host all ${who} ${from} reject`,
      ]),
      // Any database: the usual one may be closed.
      `${host} all ${roles.rewind} ${from} ${how}`,
      `host all ${roles.rewind} ${from} reject`,
    ]),
  ];
  const after = allowFrom.flatMap((from) => [
    `host replication all ${from} reject`,
    `host all all ${from} scram-sha-256`,
  ]);
  return `# Written by Understudy at every start. Put lines of your own into pg_hba.conf: they are copied below.
${lines.join('\n')}
# ---- pg_hba.conf
${usersOwn.trimEnd()}
# ---- end of pg_hba.conf
${after.join('\n')}
`;
}
