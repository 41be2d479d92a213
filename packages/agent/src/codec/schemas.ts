/**
 * What the values of the store look like. Unknown fields are ignored, so that members of neighbouring versions can share a cluster;
 * a known field of the wrong shape refuses the whole value.
 */

import {
  ackRule,
  type ClusterIdentity,
  epoch,
  type HistoryEntry,
  incarnation,
  type LeadershipRecord,
  type Member,
  type MemberLogins,
  memberId,
  type OperatorRequest,
  type RequestOutcome,
  revision,
  type Seal,
  type StoreSighting,
  systemId,
} from '@understudy/core';
import { z } from 'zod';
import { memberNameSchema } from '../config/member-name.ts';
import { positionSchema } from './position.ts';

const shortText = z.string().max(200);
const sentence = z.string().max(4000);
const wallMs = z.number().min(0);

export const memberIdSchema = memberNameSchema.transform(memberId);
export const epochSchema = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).transform(epoch);
export const incarnationSchema = z.string().min(1).max(100).transform(incarnation);
export const systemIdSchema = z.string().min(1).max(100).transform(systemId);

export const ackRuleSchema = z
  .object({ members: z.array(memberIdSchema).max(64), required: z.number().int().min(0).max(64) })
  .refine((rule) => rule.required <= new Set(rule.members).size, 'asks for more acknowledgements than it has members')
  .transform((rule) => ackRule(rule.members, rule.required));

export const durabilitySchema = z.enum(['sync', 'async']);

export const identitySchema: z.ZodType<ClusterIdentity> = z.object({
  state: z.enum(['claimed', 'founded']),
  by: memberIdSchema,
  incarnation: incarnationSchema,
  systemId: systemIdSchema.nullable(),
  engine: shortText,
});

export const recordSchema: z.ZodType<LeadershipRecord> = z.object({
  epoch: epochSchema,
  leader: memberIdSchema,
  incarnation: incarnationSchema,
  phase: z.enum(['promoting', 'open']),
  timeline: z.number().int().min(0),
  rule: ackRuleSchema,
  nextRule: ackRuleSchema.nullable(),
  chosenAt: positionSchema.nullable(),
  opened: positionSchema.nullable(),
  durability: durabilitySchema,
  cause: shortText,
  /** Absent in what agents wrote before there were notes, and where nobody overrode anything. */
  overrode: epochSchema.optional(),
  /** Absent in what agents wrote before suspicion could become slower. */
  floor: positionSchema.optional(),
  unrest: z.number().int().min(0).max(1_000_000).optional(),
  lostBySilence: incarnationSchema.optional(),
});

/** Which leadership somebody has seen, in which store. */
export const sightingSchema: z.ZodType<StoreSighting> = z.object({
  storeId: z.string().min(1).max(200),
  epoch: epochSchema,
  revision: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).transform(revision),
  leader: memberIdSchema,
});

export const sealSchema: z.ZodType<Seal> = z.object({
  epoch: epochSchema,
  incarnation: incarnationSchema,
  position: positionSchema,
  planned: z.literal('yes').exactOptional(),
  /** Absent in what agents wrote before there were notes. */
  seen: sightingSchema.optional(),
});

export const tagsSchema = z.object({
  nofailover: z.boolean(),
  nosync: z.boolean(),
  noloadbalance: z.boolean(),
  priority: z.number(),
  zone: z.string().max(64).nullable(),
  /** Absent in what agents wrote before there were delays. */
  delayMs: z.number().min(0).default(0),
});

const loginsSchema: z.ZodType<MemberLogins> = z.object({
  own: z
    .array(
      z.object({
        id: z.string().regex(/^[0-9a-f]{8,32}$/),
        slot: z.enum(['a', 'b']),
        verifier: z.string().min(20).max(300),
      }),
    )
    .max(2),
  shared: z.enum(['in-use', 'left']),
});

export const memberSchema: z.ZodType<Member> = z.object({
  id: memberIdSchema,
  apiUrl: z.string().max(2048).refine(URL.canParse, 'is not a URL'),
  host: z.string().min(1).max(255),
  port: z.number().int().min(1).max(65_535),
  tags: tagsSchema,
  /** Absent in what agents wrote before members had logins of their own. */
  logins: loginsSchema.exactOptional(),
});

const requestId = z.string().regex(/^[A-Za-z0-9-]{1,64}$/);
const timeoutMs = z.number().min(1).max(3_600_000);

/** Absent in what agents wrote before requests were dated. */
const askedWallMs = wallMs.optional();

export const requestSchema: z.ZodType<OperatorRequest> = z.discriminatedUnion('kind', [
  z.object({
    askedWallMs,
    kind: z.literal('switchover'),
    id: requestId,
    from: memberIdSchema.nullable(),
    to: memberIdSchema.nullable(),
    notBeforeWallMs: wallMs.nullable(),
    timeoutMs,
  }),
  z.object({
    askedWallMs,
    kind: z.literal('failover'),
    id: requestId,
    to: memberIdSchema,
    proof: z.enum(['quorum', 'override']),
    timeoutMs,
  }),
  z.object({
    askedWallMs,
    kind: z.literal('reinit'),
    id: requestId,
    member: memberIdSchema,
    timeoutMs: timeoutMs.optional(),
  }),
  z.object({
    askedWallMs,
    kind: z.literal('restart'),
    id: requestId,
    member: memberIdSchema,
    timeoutMs: timeoutMs.optional(),
    force: z.literal('yes').optional(),
    begun: z.object({ by: incarnationSchema, until: z.enum(['runs', 'streams', 'counts']) }).optional(),
  }),
]);

export const outcomeSchema: z.ZodType<RequestOutcome> = z.object({
  id: requestId,
  kind: z.enum(['switchover', 'failover', 'reinit', 'restart']),
  result: z.enum(['done', 'refused', 'failed']),
  reason: sentence,
  wallMs,
});

export const historySchema: z.ZodType<HistoryEntry> = z.object({
  epoch: epochSchema,
  leader: memberIdSchema,
  timeline: z.number().int().min(0),
  cause: shortText,
  chosenAt: positionSchema.nullable(),
  wallMs,
});

/** Who paused the cluster; only its presence matters to the protocol. */
export const pausedSchema = z.object({ by: shortText, wallMs });
export type Paused = z.infer<typeof pausedSchema>;
