/** What one agent streams to the others on `GET /events`: a whole report at once and on change, small beats in between. */

import { encodePosition, type LiveState, type Position } from '@understudy/core';
import { z } from 'zod';
import { encodeLive, liveStateSchema } from '../codec/live.ts';
import { positionSchema } from '../codec/position.ts';
import { AgentError } from '../errors.ts';

/** A live state, and beside it what people and routers want to know. */
export interface PeerReport {
  readonly live: LiveState;
  readonly extra: ReportExtra;
}

export const reportExtraSchema = z.object({
  /** First the one that explains what the member does. */
  reasons: z.array(z.object({ code: z.string().max(200), text: z.string().max(4000) })).max(32),
  job: z
    .object({
      kind: z.string().max(40),
      sinceMs: z.number(),
      doneBytes: z.number().nullable(),
      totalBytes: z.number().nullable(),
    })
    .nullable(),
  version: z.string().max(100).nullable(),
  pendingRestart: z.array(z.string().max(200)).max(256),
  warnings: z.array(z.string().max(4000)).max(64),
  /** Log kept back for slots, by slot, in bytes. */
  retainedBytes: z.record(z.string().max(64), z.number()).default({}),
  /** May this member answer writes right now, by record and deadline? Routers send writes only to `primary`. */
  serves: z.enum(['primary', 'replica', 'nothing']),
  /** Replay lag of a replica in ms; null when it does not know. */
  replayLagMs: z.number().nullable(),
  /** Members' own logins that its server takes, by `loginKey`. Absent before the first look, and of agents that know none. */
  logins: z.array(z.string().max(100)).max(512).optional(),
  /** Whether its server keeps such logins, seen or not. */
  loginsKept: z.literal('yes').optional(),
});
export type ReportExtra = z.infer<typeof reportExtraSchema>;

/** A beat: still alive, and where it is now. Fields that did not change since the last message are left out. */
export interface Beat {
  /** The sender's monotonic clock, for lag measurements against its own samples. */
  readonly atMs: number;
  readonly position?: Position;
  readonly replayed?: Position;
  readonly replayLagMs?: number | null;
  /** For how long a turn of the sender has waited for something that is no command: it decides nothing meanwhile. */
  readonly stuckMs?: number;
}

export type StreamMessage =
  | { readonly kind: 'report'; readonly atMs: number; readonly report: PeerReport }
  | { readonly kind: 'beat'; readonly beat: Beat };

const reportMessageSchema = z.object({ atMs: z.number(), live: liveStateSchema, extra: reportExtraSchema });
const beatMessageSchema = z.object({
  atMs: z.number(),
  position: positionSchema.optional(),
  replayed: positionSchema.optional(),
  replayLagMs: z.number().nullable().optional(),
  stuckMs: z.number().min(0).optional(),
});

/** The server-sent event of a report. */
export function formatReport(atMs: number, report: PeerReport): string {
  return `event: state\ndata: ${JSON.stringify({ atMs, live: encodeLive(report.live), extra: report.extra })}\n\n`;
}

/** The server-sent event of a beat. */
export function formatBeat(beat: Beat): string {
  const { position, replayed } = beat;
  const data = {
    ...beat,
    ...(position === undefined ? {} : { position: encodePosition(position) }),
    ...(replayed === undefined ? {} : { replayed: encodePosition(replayed) }),
  };
  return `event: beat\ndata: ${JSON.stringify(data)}\n\n`;
}

/**
 * Reads one server-sent event; null for kinds of a newer version.
 * @throws AgentError `PEER_MESSAGE_INVALID`
 */
export function parseStreamMessage(event: string, data: string): StreamMessage | null {
  if (event !== 'state' && event !== 'beat') return null;
  let input: unknown;
  try {
    input = JSON.parse(data);
  } catch {
    throw new AgentError('PEER_MESSAGE_INVALID', `A "${event}" event is not JSON.`);
  }
  if (event === 'beat') {
    const beat = beatMessageSchema.safeParse(input);
    if (beat.success) return { kind: 'beat', beat: withoutUndefined(beat.data) };
    throw invalid(event, beat.error);
  }
  const message = reportMessageSchema.safeParse(input);
  if (!message.success) throw invalid(event, message.error);
  const { atMs, live, extra } = message.data;
  return { kind: 'report', atMs, report: { live, extra } };
}

function invalid(event: string, error: z.ZodError): AgentError {
  const first = error.issues[0];
  const problem = first === undefined ? 'unknown' : `${first.path.join('.')}: ${first.message}`;
  return new AgentError('PEER_MESSAGE_INVALID', `A "${event}" event is not understood: ${problem}.`);
}

function withoutUndefined(beat: z.infer<typeof beatMessageSchema>): Beat {
  return {
    atMs: beat.atMs,
    ...(beat.position === undefined ? {} : { position: beat.position }),
    ...(beat.replayed === undefined ? {} : { replayed: beat.replayed }),
    ...(beat.replayLagMs === undefined ? {} : { replayLagMs: beat.replayLagMs }),
    ...(beat.stuckMs === undefined ? {} : { stuckMs: beat.stuckMs }),
  };
}

/** The state after a beat: only positions move. */
export function applyBeat(live: LiveState, beat: Beat): LiveState {
  const { engine } = live;
  if (engine.kind === 'primary' && beat.position !== undefined) {
    return { ...live, engine: { ...engine, position: beat.position } };
  }
  if (engine.kind === 'replica' && (beat.position !== undefined || beat.replayed !== undefined)) {
    const { position = engine.position, replayed = engine.replayed } = beat;
    return { ...live, engine: { ...engine, position, replayed } };
  }
  return live;
}
