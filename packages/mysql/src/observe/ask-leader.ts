import type { Member } from '@understudy/core';
import { parseMysqlGtids } from '../gtid/mysql.ts';
import type { MysqlOptions } from '../options.ts';
import { openMember } from '../sql/local.ts';
import type { AskLeader } from './errant.ts';

const timeoutMs = 1000;

/** Asks a leader's server itself what it holds (MySQL). Null also when it does not answer: then it is asked at the next look. */
export async function askLeader(options: MysqlOptions, leader: Member): ReturnType<AskLeader> {
  const session = await openMember(options, leader, 'monitor', timeoutMs).catch(() => null);
  if (session === null) return null;
  try {
    const query =
      'SELECT @@global.server_uuid AS uuid, @@global.gtid_executed AS executed, @@global.read_only AS closed';
    const [row] = await session.query(query, [], timeoutMs);
    const executed = parseMysqlGtids(row?.executed ?? '');
    if (row?.closed !== '0' || executed === null) return null;
    return { uuid: (row.uuid ?? '').toLowerCase(), executed };
  } catch {
    return null;
  } finally {
    await session.end();
  }
}
