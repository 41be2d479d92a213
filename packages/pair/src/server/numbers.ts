import { offsetIncrement, sideNumbers } from '../decide/sides.ts';
import type { PairServer } from './server.ts';

const timeoutMs = 2000;

/** Settings that somebody has changed while the server runs, of those on which a pair rests; empty when all is well. */
export async function wrongNumbers({ name, sql, dialect }: PairServer): Promise<readonly string[]> {
  const { serverId, offset, domain } = sideNumbers[name];
  const wanted: Record<string, string> = {
    auto_increment_increment: String(offsetIncrement),
    auto_increment_offset: String(offset),
    server_id: String(serverId),
    binlog_format: 'ROW',
    binlog_row_image: 'FULL',
    ...(dialect.gtids === 'domains'
      ? { gtid_domain_id: String(domain), gtid_strict_mode: '1', slave_exec_mode: 'STRICT' }
      : { gtid_mode: 'ON', [dialect.replica === 'REPLICA' ? 'replica_exec_mode' : 'slave_exec_mode']: 'STRICT' }),
  };
  const list = Object.keys(wanted).map((each) => `@@global.${each} AS ${each}`);
  const session = await sql.monitor(timeoutMs);
  const [row] = await session.query(`SELECT ${list.join(', ')}`, [], timeoutMs);
  return Object.entries(wanted)
    .filter(([variable, value]) => row?.[variable] !== value)
    .map(([variable, value]) => `${variable} is ${row?.[variable] ?? 'unknown'} instead of ${value}`);
}
