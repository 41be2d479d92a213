/** Positions as they are written in the store and in the peer stream. */

import { decodePosition, type EncodedPosition, encodePosition, type Position, TIMELINES_MAX } from '@understudy/core';
import { z } from 'zod';

const lsnText = z.string().max(17);
const timeline = z.number().int().min(0).max(0xffffffff);

/** Agents of this version write far fewer; earlier ones wrote all of them. */
const steps = z.array(z.object({ timeline, switchLsn: lsnText })).max(1 << 16);

const walPosition = z.object({
  kind: z.literal('wal'),
  timeline,
  lsn: lsnText,
  history: steps.optional(),
  recent: steps.optional(),
  before: z.object({ steps: z.number().int().min(1), digest: z.string().regex(/^[0-9a-f]{1,32}$/) }).optional(),
});

const gtidPosition = z.object({
  kind: z.literal('gtid'),
  set: z.record(z.string().min(1).max(80), z.string().max(100_000)),
  lineages: z.array(timeline).max(TIMELINES_MAX).optional(),
  lines: z.string().min(1).max(100_000).optional(),
  bytesPerTransaction: z
    .number()
    .min(0)
    .max(2 ** 40),
});

/** The encoded form itself, where it is passed on. */
export const encodedPositionSchema: z.ZodType<EncodedPosition> = z.discriminatedUnion('kind', [
  walPosition,
  gtidPosition,
]);

/** From the encoded form to a position. */
export const positionSchema = encodedPositionSchema.transform((encoded, context): Position => {
  const position = decodePosition(encoded);
  if (position !== null) return position;
  context.addIssue({
    code: 'custom',
    message: 'is not a position: one of its LSNs, GTIDs or timelines cannot be read',
  });
  return z.NEVER;
});

export type { EncodedPosition };
export { encodePosition };

export function encodeNullable(position: Position | null): EncodedPosition | null {
  return position === null ? null : encodePosition(position);
}
