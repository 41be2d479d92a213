/** Live states as they travel between agents, and what travels with them for people and routers. */

import {
  type AckState,
  type EncodedPosition,
  type EngineState,
  encodePosition,
  type LiveState,
  type PromiseVoid,
  type Receiver,
  type ReplicaProgress,
} from '@understudy/core';
import { z } from 'zod';
import { encodeNullable, positionSchema } from './position.ts';
import { ackRuleSchema, epochSchema, incarnationSchema, memberIdSchema, systemIdSchema } from './schemas.ts';

const silentMs = z.number().min(0);

const receiverSchema: z.ZodType<Receiver> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none') }),
  z.object({
    kind: z.literal('broken'),
    cause: z.enum(['unknown', 'refused', 'wal-removed', 'history', 'damaged', 'slot', 'login']),
    detail: z.string().max(4000).optional(),
  }),
  z.object({ kind: z.literal('streaming'), silentMs }),
]);

const progressSchema: z.ZodType<ReplicaProgress> = z.object({
  member: memberIdSchema,
  kind: z.enum(['catching-up', 'streaming']),
  confirmed: positionSchema,
  silentMs,
});

const acksSchema: z.ZodType<AckState> = z.object({
  running: ackRuleSchema.nullable(),
  barrier: positionSchema.nullable(),
  unproven: z.string().max(4000).optional(),
});

const voidsSchema: z.ZodType<readonly PromiseVoid[] | undefined> = z
  .array(z.object({ effect: z.enum(['assumed', 'loss']), text: z.string().max(4000) }))
  .max(64)
  .optional();

export const engineStateSchema: z.ZodType<EngineState> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('absent') }),
  z.object({ kind: z.literal('incomplete') }),
  z.object({ kind: z.literal('refused'), problem: z.string().max(4000) }),
  z.object({
    kind: z.literal('stopped'),
    shutdown: z.enum(['clean', 'crashed']),
    position: positionSchema.nullable(),
    systemId: systemIdSchema,
  }),
  z.object({ kind: z.literal('starting'), sinceMs: silentMs }),
  z.object({
    kind: z.literal('replica'),
    systemId: systemIdSchema,
    position: positionSchema.nullable(),
    replayed: positionSchema,
    upstream: memberIdSchema.nullable(),
    receiver: receiverSchema,
    blocked: z.string().max(2000).optional(),
    voids: voidsSchema,
  }),
  z.object({
    kind: z.literal('primary'),
    systemId: systemIdSchema,
    position: positionSchema,
    acks: acksSchema,
    replicas: z.array(progressSchema).max(256),
    voids: voidsSchema,
  }),
  z.object({ kind: z.literal('unresponsive'), was: z.enum(['replica', 'primary', 'unknown']), sinceMs: silentMs }),
]);

export const liveStateSchema: z.ZodType<LiveState> = z.object({
  member: memberIdSchema,
  incarnation: incarnationSchema,
  epoch: epochSchema.nullable(),
  engine: engineStateSchema,
  suspects: epochSchema.nullable(),
  leaderPosition: positionSchema.nullable(),
});

/** A live state in JSON-safe form. */
export function encodeLive(live: LiveState): object {
  return { ...live, engine: encodeEngine(live.engine), leaderPosition: encodeNullable(live.leaderPosition) };
}

/** An engine's state in JSON-safe form. */
export function encodeEngine(state: EngineState): object {
  switch (state.kind) {
    case 'stopped':
      return { ...state, position: encodeNullable(state.position) };
    case 'replica':
      return { ...state, position: encodeNullable(state.position), replayed: encodePosition(state.replayed) };
    case 'primary':
      return {
        ...state,
        position: encodePosition(state.position),
        acks: { ...state.acks, barrier: encodeNullable(state.acks.barrier) },
        replicas: state.replicas.map((replica) => ({ ...replica, confirmed: encodePosition(replica.confirmed) })),
      };
    default:
      return state;
  }
}

export type { EncodedPosition };
