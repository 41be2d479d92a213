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
  type StartFailures,
} from '@understudy/core';
import { z } from 'zod';
import { encodeNullable, positionSchema } from './position.ts';
import {
  ackRuleSchema,
  epochSchema,
  incarnationSchema,
  memberIdSchema,
  sightingSchema,
  systemIdSchema,
} from './schemas.ts';

const silentMs = z.number().min(0);

/** The longest sentence, and the most of a kind, that a report carries. A peer refuses a report with more, so what is said is cut to it. */
export const SENTENCE_CHARS = 2000;
export const SENTENCES = 64;

const sentence = z.string().max(2 * SENTENCE_CHARS);

/** A sentence that every peer takes. */
export const clipped = (text: string): string =>
  text.length <= SENTENCE_CHARS ? text : `${text.slice(0, SENTENCE_CHARS - 1)}…`;

/** As many entries as every peer takes; `rest` says how many were left out. */
export function fewEnough<T>(entries: readonly T[], rest: (left: number) => T): readonly T[] {
  if (entries.length <= SENTENCES) return entries;
  return [...entries.slice(0, SENTENCES - 1), rest(entries.length - SENTENCES + 1)];
}

const receiverSchema: z.ZodType<Receiver> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none') }),
  z.object({
    kind: z.literal('broken'),
    cause: z.enum(['unknown', 'refused', 'wal-removed', 'history', 'damaged', 'slot', 'login']),
    detail: sentence.optional(),
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
  unproven: sentence.optional(),
});

const voidsSchema: z.ZodType<readonly PromiseVoid[] | undefined> = z
  .array(z.object({ effect: z.enum(['assumed', 'loss']), text: sentence }))
  .max(SENTENCES)
  .optional();

const startFailuresSchema: z.ZodType<StartFailures> = z.object({
  times: z.number().int().min(1),
  cause: z.enum(['data', 'unknown']),
  words: sentence,
});

export const engineStateSchema: z.ZodType<EngineState> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('absent') }),
  z.object({ kind: z.literal('incomplete') }),
  z.object({
    kind: z.literal('refused'),
    problem: sentence,
    data: z.literal('damaged').optional(),
  }),
  z.object({
    kind: z.literal('stopped'),
    shutdown: z.enum(['clean', 'crashed']),
    position: positionSchema.nullable(),
    systemId: systemIdSchema,
    startFailures: startFailuresSchema.optional(),
  }),
  z.object({ kind: z.literal('starting'), sinceMs: silentMs }),
  z.object({
    kind: z.literal('replica'),
    systemId: systemIdSchema,
    position: positionSchema.nullable(),
    replayed: positionSchema,
    upstream: memberIdSchema.nullable(),
    receiver: receiverSchema,
    blocked: sentence.optional(),
    parked: sentence.optional(),
    voids: voidsSchema,
  }),
  z.object({
    kind: z.literal('primary'),
    systemId: systemIdSchema,
    position: positionSchema,
    acks: acksSchema,
    replicas: z.array(progressSchema).max(256),
    opened: z.literal('outside').optional(),
    voids: voidsSchema,
  }),
  z.object({
    kind: z.literal('unresponsive'),
    was: z.enum(['replica', 'primary', 'unknown']),
    sinceMs: silentMs,
    refusal: z.string().max(2000).optional(),
  }),
]);

export const liveStateSchema: z.ZodType<LiveState> = z.object({
  member: memberIdSchema,
  incarnation: incarnationSchema,
  epoch: epochSchema.nullable(),
  engine: engineStateSchema,
  suspects: epochSchema.nullable(),
  leaving: z.literal('yes').exactOptional(),
  leaderPosition: positionSchema.nullable(),
  /** Absent in what older agents say. */
  seen: sightingSchema.optional(),
});

/** A live state in JSON-safe form. */
export function encodeLive(live: LiveState): object {
  return { ...live, engine: encodeEngine(live.engine), leaderPosition: encodeNullable(live.leaderPosition) };
}

/** An engine's state in JSON-safe form. */
export function encodeEngine(state: EngineState): object {
  switch (state.kind) {
    case 'refused':
      return { ...state, problem: clipped(state.problem) };
    case 'stopped':
      return { ...state, position: encodeNullable(state.position) };
    case 'replica':
      return {
        ...state,
        position: encodeNullable(state.position),
        replayed: encodePosition(state.replayed),
        receiver: clippedReceiver(state.receiver),
        ...(state.blocked === undefined ? {} : { blocked: clipped(state.blocked) }),
        ...(state.voids === undefined ? {} : { voids: clippedVoids(state.voids) }),
      };
    case 'primary':
      return {
        ...state,
        position: encodePosition(state.position),
        acks: {
          ...state.acks,
          barrier: encodeNullable(state.acks.barrier),
          ...(state.acks.unproven === undefined ? {} : { unproven: clipped(state.acks.unproven) }),
        },
        replicas: state.replicas.map((replica) => ({ ...replica, confirmed: encodePosition(replica.confirmed) })),
        ...(state.voids === undefined ? {} : { voids: clippedVoids(state.voids) }),
      };
    default:
      return state;
  }
}

function clippedReceiver(receiver: Receiver): Receiver {
  if (receiver.kind !== 'broken' || receiver.detail === undefined) return receiver;
  return { ...receiver, detail: clipped(receiver.detail) };
}

/** What can cost an acknowledged write comes first, so that it is not what is left out. */
function clippedVoids(voids: readonly PromiseVoid[]): readonly PromiseVoid[] {
  const sorted = [
    ...voids.filter(({ effect }) => effect === 'loss'),
    ...voids.filter(({ effect }) => effect !== 'loss'),
  ];
  const short = sorted.map(({ effect, text }) => ({ effect, text: clipped(text) }));
  return fewEnough(short, (left) => ({ effect: 'assumed', text: `There are ${left} more.` }));
}

export type { EncodedPosition };
