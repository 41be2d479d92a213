import { join } from 'node:path';
import {
  decodePosition,
  encodePosition,
  type Position,
  type SystemId,
  systemId,
  TIMELINES_MAX,
} from '@understudy/core';
import { identityName, type Owner, readIfThere, replaceFile } from '@understudy/engine/host';
import { z } from 'zod';
import type { Flavour } from '../programs.ts';
import { writers } from './writer.ts';

const endSchema = z.object({
  position: z.object({
    kind: z.literal('gtid'),
    set: z.record(z.string().min(1).max(80), z.string().max(100_000)),
    lineages: z.array(z.int().min(0)).max(TIMELINES_MAX).optional(),
    lines: z.string().min(1).max(100_000).optional(),
    bytesPerTransaction: z.number().min(0),
  }),
  /** The newest file of the binary log and its size: an end of which these are not true any more says nothing. */
  log: z.object({ name: z.string(), sizeBytes: z.int().min(0) }).nullable(),
});

const identitySchema = z.object({
  cluster: z.string(),
  member: z.string(),
  flavour: z.enum(['mysql', 'mariadb']),
  version: z.string().regex(/^\d+\.\d+\.\d+$/),
  systemId: z.uuid(),
  /** `unknown`: what was received before the last start may not have been applied yet, so the position is not known. */
  received: z.enum(['applied', 'unknown']),
  /** MariaDB: see `serverIdOf`. */
  writer: z.enum(writers).default('first'),
  /**
   * Parameters that count only when a database is made, as this one was made with them, or as the source of the copy was. Absent: an earlier
   * version made it, which did not note them.
   */
  made: z.record(z.string(), z.string()).optional(),
  /** The last leadership for which this data was opened, as long as nothing was received since; null: none, or not known. */
  opened: z
    .object({ epoch: z.int().min(1), writer: z.enum(writers) })
    .nullable()
    .default(null),
  /** Where the last run ended, if it was shut down in order; null while the server runs, and after a crash. */
  end: endSchema.nullable(),
});

/** Whose data directory this is and how its last run ended; written by Understudy. */
export type DataIdentity = z.output<typeof identitySchema>;

/** What a data directory must be for this engine to use it. */
export interface ExpectedData {
  readonly cluster: string;
  readonly flavour: Flavour;
  readonly version: string;
}

/** The identity in a file's text; null when it is not one. */
export function parseIdentity(text: string): DataIdentity | null {
  try {
    const parsed = identitySchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** The identity of a data directory; null when it has none, or a damaged one. */
export async function readIdentity(dataDir: string): Promise<DataIdentity | null> {
  const text = await readIfThere(join(dataDir, identityName));
  return text === null ? null : parseIdentity(text);
}

/** Writes the identity, durably and in one step. */
export async function writeIdentity(dataDir: string, identity: DataIdentity, owner: Owner): Promise<void> {
  await replaceFile(join(dataDir, identityName), `${JSON.stringify(identity, null, 2)}\n`, owner);
}

const turns = new Map<string, Promise<unknown>>();

/**
 * Changes the identity of a data directory, one change after the other.
 *
 * @param change of what is there when its turn comes; null: nothing is changed. A directory without an identity keeps having none.
 */
export async function changeIdentity(
  dataDir: string,
  owner: Owner,
  change: (identity: DataIdentity) => DataIdentity | null,
): Promise<void> {
  const turn = (turns.get(dataDir) ?? Promise.resolve()).then(async () => {
    const identity = await readIdentity(dataDir);
    const next = identity === null ? null : change(identity);
    if (next !== null) await writeIdentity(dataDir, next, owner);
  });
  turns.set(
    dataDir,
    turn.catch(() => undefined),
  );
  await turn;
}

/** From now on the log may get something that must never be cut off, or not by an earlier leave: it lies behind what was written before. */
export const forgetOpened = (dataDir: string, owner: Owner): Promise<void> =>
  changeIdentity(dataDir, owner, (identity) => (identity.opened === null ? null : { ...identity, opened: null }));

/** How an end is written. */
export function encodeEnd(position: Position, log: { name: string; sizeBytes: number } | null): DataIdentity['end'] {
  const encoded = encodePosition(position);
  if (encoded.kind !== 'gtid') return null;
  const { lineages } = encoded;
  const written = { ...encoded, set: { ...encoded.set } };
  return { position: { ...written, lineages: lineages === undefined ? undefined : [...lineages] }, log };
}

/** The position of an end; null when it cannot be read. */
export const positionOfEnd = (end: NonNullable<DataIdentity['end']>): Position | null => decodePosition(end.position);

export const systemIdOf = (identity: DataIdentity): SystemId => systemId(identity.systemId);
