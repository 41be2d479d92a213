import { join } from 'node:path';
import { entryAt } from '@understudy/engine/host';
import type { Spot } from './database.ts';
import type { Row, Session } from './session.ts';

/** What MySQL and MariaDB have received and not applied: the rest of the relay log's file at which the applier stands. */
export async function unappliedRelayLog(status: Row | undefined, dataDir: string): Promise<Spot | null> {
  const { Relay_Log_File: file, Relay_Log_Pos: pos } = status ?? {};
  if (typeof file !== 'string' || file === '') return null;
  const size = (await entryAt(join(dataDir, file)))?.size ?? 0;
  const fromByte = Number(pos);
  return fromByte < size ? { file, fromByte, toByte: size } : null;
}

/** What PostgreSQL has received and not replayed, as far as it lies in the segment at which the replay stands. */
export async function unreplayedWal(session: Session): Promise<Spot | null> {
  const [row] = await session.rows(
    `select (pg_last_wal_replay_lsn() - '0/0')::text as replayed, (flushed_lsn - '0/0')::text as received, received_tli::text as line,
            (select setting from pg_settings where name = 'wal_segment_size') as segment
       from pg_stat_wal_receiver`,
  );
  const number = (column: string): bigint => BigInt(String(row?.[column] ?? '0'));
  const [replayed, received, segment] = [number('replayed'), number('received'), number('segment')];
  if (row === undefined || segment === 0n || received <= replayed) return null;
  const begin = replayed - (replayed % segment);
  const end = received < begin + segment ? received : begin + segment;
  const file = join('pg_wal', walFile(number('line'), replayed, segment));
  return { file, fromByte: Number(replayed - begin), toByte: Number(end - begin) };
}

/** The name of the segment that holds a position: history line, and the segment's number in two parts, as 8 hexadecimal digits each. */
export function walFile(line: bigint, position: bigint, segmentBytes: bigint): string {
  const perPart = 0x1_0000_0000n / segmentBytes;
  const index = position / segmentBytes;
  return [line, index / perPart, index % perPart]
    .map((part) => part.toString(16).toUpperCase().padStart(8, '0'))
    .join('');
}
