import { gtidUnion, type Member } from '@understudy/core';
import { parseMysqlGtids, parseOwnedGtids } from '../gtid/mysql.ts';
import type { MysqlOptions } from '../options.ts';
import { openMember } from '../sql/local.ts';
import type { AskSource } from './errant.ts';

const timeoutMs = 1000;
const query = `SELECT @@global.server_uuid AS uuid, @@global.gtid_executed AS executed, @@global.gtid_owned AS owned`;

/** Asks the server that a replica receives from what it holds (MySQL). Null also when it does not answer: then it is asked at the next look. */
export async function askSource(options: MysqlOptions, source: Member): ReturnType<AskSource> {
  const session = await openMember(options, source, 'monitor', timeoutMs).catch(() => null);
  if (session === null) return null;
  try {
    const [row] = await session.query(query, [], timeoutMs);
    const executed = parseMysqlGtids(row?.executed ?? '');
    // What it is about to commit may have been sent already.
    const owned = parseOwnedGtids(row?.owned ?? '');
    if (executed === null || owned === null) return null;
    return { uuid: (row?.uuid ?? '').toLowerCase(), held: gtidUnion(executed, owned) };
  } catch {
    return null;
  } finally {
    await session.end();
  }
}
