import type { ServerFacts } from './facts.ts';
import { formatPosition } from './position.ts';

/** Why a dead primary is not failed over from without GTIDs. */
export function failoverRefusal(replica: Pick<ServerFacts, 'name' | 'replica'>): string {
  const executed = replica.replica?.executed;
  const at = executed == null ? 'an unknown place' : formatPosition(executed);
  return [
    `${replica.name} has executed the old primary's log up to ${at}, and nothing says how far that log went, nor which transactions of it another server has:`,
    'without GTIDs a transaction has no name, so it cannot be shown what would be lost, and the old primary could not be compared or brought back afterwards.',
  ].join(' ');
}

/** The way from files and offsets to GTIDs, after which a cluster can do it. Each step on both servers before the next one. */
export function stepsToGtid(flavour: ServerFacts['flavour']): readonly string[] {
  if (flavour === 'mariadb') {
    return [
      'MariaDB gives every transaction a GTID already; only the replica does not use them yet.',
      'Primary: SET GLOBAL read_only = ON; wait until the replica has executed everything (understudy offset status).',
      'Primary: SELECT @@gtid_binlog_pos;',
      "Replica: STOP SLAVE; SET GLOBAL gtid_slave_pos = '(what the primary said)'; CHANGE MASTER TO MASTER_USE_GTID = slave_pos; START SLAVE;",
      'If that is refused because its own log has a later number, and no other replica hangs on it: RESET MASTER; first.',
      'Primary: SET GLOBAL read_only = OFF;',
      'Both: SET GLOBAL gtid_strict_mode = ON; and write gtid_strict_mode=ON, log_slave_updates=ON into both files.',
    ];
  }
  return [
    'Both: SET GLOBAL enforce_gtid_consistency = WARN; watch the error log under the usual load until nothing is reported.',
    'Both: SET GLOBAL enforce_gtid_consistency = ON;',
    'Both: SET GLOBAL gtid_mode = OFF_PERMISSIVE; then on both: SET GLOBAL gtid_mode = ON_PERMISSIVE;',
    "Both: wait until SHOW STATUS LIKE 'Ongoing_anonymous_transaction_count' is 0, and the replica has applied everything.",
    'Both: SET GLOBAL gtid_mode = ON; and write gtid_mode=ON, enforce_gtid_consistency=ON into both files.',
    'Replica: STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_AUTO_POSITION = 1; START REPLICA;',
  ];
}

/** What somebody does by hand who has to open the replica all the same. */
export function byHand(flavour: ServerFacts['flavour']): readonly string[] {
  const word = flavour === 'mariadb' ? 'SLAVE' : 'REPLICA';
  return [
    'Make sure that the old primary is dead and stays so: stop it, or take its network away.',
    `Replica: wait until it has applied its relay log (SHOW ${word} STATUS), then STOP ${word}; RESET ${word} ALL; SET GLOBAL read_only = OFF;`,
    'What the old primary had not sent is lost. Keep its files. Make it a replica again only as a new copy: understudy offset setup',
  ];
}
