import { join } from 'node:path';
import { type Lsn, lsn, type SystemId, systemId } from '@understudy/core';
import { readBytes } from '@understudy/engine/host';
import { crc32c } from './crc32c.ts';

/** `pg_control` as `src/include/catalog/pg_control.h` lays it out, for the versions whose layout is known. */
export interface ControlFile {
  readonly systemId: SystemId;
  readonly state: ControlState;
  /** Begin of the newest checkpoint record. */
  readonly checkpoint: Lsn;
  /** Where recovery begins. */
  readonly redo: Lsn;
  readonly timeline: number;
  readonly previousTimeline: number;
  /** Up to where a standby must replay before it is consistent; 0 when it was never one. */
  readonly minRecovery: Lsn;
  readonly minRecoveryTimeline: number;
  readonly backupStart: Lsn;
  readonly walSegmentBytes: number;
  readonly walBlockBytes: number;
  readonly checksums: 'on' | 'off';
  /** Parameters that a standby must not have lower than its primary had when it wrote the log (P12). */
  readonly limits: Readonly<Record<LimitParameter, number>>;
}

const states = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
] as const;
export type ControlState = (typeof states)[number];

export const limitParameters = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
] as const;
export type LimitParameter = (typeof limitParameters)[number];

/** The file has 8192 bytes. */
const fileBytesMax = 65_536;

/** Offset of the checksum, by layout: 13–16 write 1300, 17 writes 1700 (same offsets), 18 inserts a byte. */
const checksumOffsets: ReadonlyMap<number, number> = new Map([
  [1300, 288],
  [1700, 288],
  [1800, 292],
]);

/** Why a control file cannot be used; the text is half a sentence for people. */
export class ControlFileProblem extends Error {
  override readonly name = 'ControlFileProblem';
}

/**
 * Reads `global/pg_control` of a data directory.
 *
 * @throws ControlFileProblem when it is short, of an unknown layout or damaged; system errors when it cannot be read.
 */
export async function readControlFile(dataDir: string): Promise<ControlFile> {
  return parseControlFile(await readBytes(join(dataDir, 'global', 'pg_control'), fileBytesMax));
}

/** Parses the bytes of a control file; see `readControlFile`. */
export function parseControlFile(bytes: Buffer): ControlFile {
  if (bytes.length < 296) throw new ControlFileProblem(`is only ${bytes.length} bytes long`);
  const version = bytes.readUInt32LE(8);
  const checksumOffset = checksumOffsets.get(version);
  if (checksumOffset === undefined) throw new ControlFileProblem(`has the unknown version ${version}`);
  if (crc32c(bytes.subarray(0, checksumOffset)) !== bytes.readUInt32LE(checksumOffset)) {
    throw new ControlFileProblem('has a wrong checksum, so it is damaged');
  }
  const state = states[bytes.readUInt32LE(16)];
  if (state === undefined) throw new ControlFileProblem(`has the unknown state ${bytes.readUInt32LE(16)}`);
  const position = (offset: number): Lsn => lsn(bytes.readBigUInt64LE(offset));
  return {
    systemId: systemId(bytes.readBigUInt64LE(0).toString()),
    state,
    checkpoint: position(32),
    redo: position(40),
    timeline: bytes.readUInt32LE(48),
    previousTimeline: bytes.readUInt32LE(52),
    minRecovery: position(136),
    minRecoveryTimeline: bytes.readUInt32LE(144),
    backupStart: position(152),
    limits: {
      max_connections: bytes.readInt32LE(180),
      max_worker_processes: bytes.readInt32LE(184),
      max_wal_senders: bytes.readInt32LE(188),
      max_prepared_transactions: bytes.readInt32LE(192),
      max_locks_per_transaction: bytes.readInt32LE(196),
    },
    walBlockBytes: bytes.readUInt32LE(224),
    walSegmentBytes: bytes.readUInt32LE(228),
    checksums: bytes.readUInt32LE(252) === 0 ? 'off' : 'on',
  };
}
