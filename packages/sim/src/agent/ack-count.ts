import type { AckRule } from '@understudy/core';
import { memberName } from '../server/acks.ts';
import { requireAcks } from '../server/semi-sync.ts';
import type { SimServer } from '../server/server.ts';

const NOBODY_SUFFICES = 1000;

/**
 * With every look at a leader, as packages/mysql does: MySQL is told to wait for one more for each stranger who acknowledges, and for more than
 * there are while too few members are connected; MariaDB waits for one whatever it is told, so there the strangers are shut out.
 */
export function keepCount(server: SimServer, rule: AckRule | null): void {
  if (rule === null || rule.required === 0 || !server.waitsForStandbys) return;
  if (server.flavour === 'mariadb') {
    server.strangers = 0;
    return;
  }
  const readers = server.senders.filter(
    ({ account, sink }) => account === 'ack' && rule.members.includes(memberName(sink)),
  );
  const wanted = readers.length < rule.required ? NOBODY_SUFFICES : rule.required + server.strangers;
  if (wanted !== server.requiredAcks) requireAcks(server, wanted);
}
