/** The serving side of the peer stream: every subscriber gets a whole report at once and on change, and beats in between. */

import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { EngineState, MemberId, Position } from '@understudy/core';
import { encodePosition } from '@understudy/core';
import { type Caller, holderOf } from '../access/caller.ts';
import { type Beat, formatBeat, formatReport, type PeerReport } from './report.ts';

/** A subscriber that has not taken this much is dropped: it would only get old news. */
const MAX_UNSENT_BYTES = 256 * 1024;
/** Streams of those who are no members: in all, and of one holder of a token or address. */
const MAX_GUESTS = 64;
const MAX_PER_GUEST = 8;
/** An agent has one stream; a second one for a moment, while the first has not been noticed to be dead. */
const MAX_PER_MEMBER = 2;
/** Even without change a whole report goes out this often, so that small things (counts of silence) get about. */
const REFRESH_MS = 5_000;

/** Who opens an event stream. Members have room of their own, whoever else is connected. */
export type Subscriber =
  | { readonly kind: 'member'; readonly member: MemberId }
  /** By the name of its token or certificate, or by its address. */
  | { readonly kind: 'guest'; readonly name: string };

/** As whom a caller gets a stream. @param address where it is, for those who show nothing else */
export function subscriberOf(caller: Caller, address: string): Subscriber {
  const { member } = caller;
  if (member !== null && member !== 'some') return { kind: 'member', member };
  return { kind: 'guest', name: holderOf(caller) ?? address };
}

export class EventHub {
  readonly #subscribers = new Map<Socket, Subscriber>();
  #report: PeerReport | null = null;
  #shape = '';
  #sentReportAtMs = Number.NEGATIVE_INFINITY;
  #position = '';
  #replayed = '';

  get size(): number {
    return this.#subscribers.size;
  }

  /**
   * Starts streaming to `response`, whose head this writes. Members always get a stream: what others open cannot keep an agent from being heard.
   *
   * @returns whether there was room for another subscriber
   */
  subscribe(response: ServerResponse, nowMs: number, subscriber: Subscriber): boolean {
    const { socket } = response;
    if (socket === null || !this.#makeRoom(subscriber)) return false;
    // The stream ends with its connection: it needs no chunks, and can be written past the machinery of HTTP.
    response.useChunkedEncodingByDefault = false;
    response.shouldKeepAlive = false;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', connection: 'close' });
    response.flushHeaders();
    socket.setNoDelay(true);
    socket.on('close', () => this.#subscribers.delete(socket));
    socket.on('error', () => socket.destroy());
    this.#subscribers.set(socket, subscriber);
    // Without a report yet the head alone is sent, so that the subscriber knows that it is connected.
    socket.write(this.#report === null ? ': no report yet\n\n' : formatReport(nowMs, this.#report));
    return true;
  }

  #makeRoom(subscriber: Subscriber): boolean {
    if (subscriber.kind === 'member') {
      const own = this.#streams((other) => other.kind === 'member' && other.member === subscriber.member);
      // The oldest is the one whose other end is gone.
      if (own.length >= MAX_PER_MEMBER) own[0]?.destroy();
      return true;
    }
    const others = this.#streams(({ kind }) => kind === 'guest');
    const { name } = subscriber;
    const same = this.#streams((other) => other.kind === 'guest' && other.name === name);
    return others.length < MAX_GUESTS && same.length < MAX_PER_GUEST;
  }

  /** The sockets of those subscribers, oldest first. */
  #streams(wanted: (subscriber: Subscriber) => boolean): readonly Socket[] {
    return [...this.#subscribers].filter(([, subscriber]) => wanted(subscriber)).map(([socket]) => socket);
  }

  /** Sends the whole report if anything but positions and counters changed, otherwise nothing: the next beat has the positions. */
  publish(report: PeerReport, nowMs: number): void {
    const shape = shapeOf(report);
    const changed = shape !== this.#shape || nowMs - this.#sentReportAtMs > REFRESH_MS;
    this.#report = report;
    if (!changed) return;
    this.#shape = shape;
    this.#sentReportAtMs = nowMs;
    if (this.#subscribers.size > 0) this.#send(formatReport(nowMs, report));
  }

  /**
   * To be called once a tick.
   * @param stuckMs for how long a turn has waited for something that is no command
   */
  beat(nowMs: number, stuckMs = 0): void {
    if (this.#report === null || this.#subscribers.size === 0) return;
    this.#send(formatBeat(this.#nextBeat(this.#report, nowMs, Math.round(stuckMs))));
  }

  close(): void {
    for (const socket of this.#subscribers.keys()) socket.end();
    this.#subscribers.clear();
  }

  #nextBeat(report: PeerReport, nowMs: number, stuckMs: number): Beat {
    const { position, replayed } = positionsOf(report.live.engine);
    const positionText = keyOf(position);
    const replayedText = keyOf(replayed);
    const beat: Beat = {
      atMs: nowMs,
      ...(position !== null && positionText !== this.#position ? { position } : {}),
      ...(replayed !== null && replayedText !== this.#replayed ? { replayed } : {}),
      replayLagMs: report.extra.replayLagMs,
      ...(stuckMs > 0 ? { stuckMs } : {}),
    };
    this.#position = positionText;
    this.#replayed = replayedText;
    return beat;
  }

  #send(text: string): void {
    for (const socket of this.#subscribers.keys()) {
      if (socket.writableLength > MAX_UNSENT_BYTES) socket.destroy();
      else socket.write(text);
    }
  }
}

const keyOf = (position: Position | null): string =>
  position === null ? '' : JSON.stringify(encodePosition(position));

function positionsOf(engine: EngineState): { readonly position: Position | null; readonly replayed: Position | null } {
  if (engine.kind === 'primary') return { position: engine.position, replayed: null };
  if (engine.kind === 'replica') return { position: engine.position, replayed: engine.replayed };
  return { position: null, replayed: null };
}

/** What of a report counts as a change: everything but the end of the log and the counts of milliseconds, which move all the time. */
function shapeOf({ live, extra }: PeerReport): string {
  return JSON.stringify([
    { ...live, engine: engineShape(live.engine), leaderPosition: null },
    {
      ...extra,
      replayLagMs: null,
      retainedBytes: Object.keys(extra.retainedBytes),
      job: extra.job === null ? null : extra.job.kind,
    },
  ]);
}

function engineShape(engine: EngineState): unknown {
  switch (engine.kind) {
    case 'primary':
      return {
        ...engine,
        position: historyShape(engine.position),
        acks: { running: engine.acks.running, barrier: keyOf(engine.acks.barrier) },
        replicas: engine.replicas.map((replica) => [replica.member, replica.kind, replica.silentMs > 1_000]),
      };
    case 'replica': {
      const { receiver } = engine;
      return {
        ...engine,
        position: engine.position === null ? null : historyShape(engine.position),
        replayed: historyShape(engine.replayed),
        receiver: receiver.kind === 'streaming' ? receiver.silentMs > 1_000 : receiver,
      };
    }
    case 'stopped':
      return { ...engine, position: keyOf(engine.position) };
    case 'starting':
    case 'unresponsive':
      return { ...engine, sinceMs: 0 };
    default:
      return engine;
  }
}

const historyShape = (position: Position): string =>
  position.kind === 'wal' ? `${position.timeline}:${position.history.length}` : position.timelines.join(':');
