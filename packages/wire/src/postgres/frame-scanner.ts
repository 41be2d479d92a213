/** Takes a stream of messages apart, whatever pieces it arrives in, without copying what is only passed on. */

import { WireError } from './error.ts';
import { CLIENT, SERVER } from './types.ts';

/** What is done with messages of a type: refused, put together up to a length, or passed on in the pieces that come. */
export type FramePlan =
  | { readonly kind: 'refused' }
  | { readonly kind: 'whole'; readonly maxBytes: number }
  | { readonly kind: 'streamed'; readonly maxBytes: number };

export interface FrameSink {
  /**
   * A message lies at `bytes[start, end)`, its header of five bytes included. The bytes are valid during the call only.
   *
   * @returns whether to go on: false leaves the rest of the chunk unread
   */
  frame(type: number, bytes: Buffer, start: number, end: number): boolean;
  /**
   * A piece of a streamed message that does not lie in one chunk. The first piece begins with the header.
   *
   * @returns whether to go on
   */
  piece(type: number, bytes: Buffer, start: number, end: number, isLast: boolean): boolean;
}

const HEADER_BYTES = 5;
const REFUSED = 0;
const WHOLE = 1;
const STREAMED = 2;
/** The largest length that PostgreSQL sends or takes in a message. */
export const MAX_MESSAGE_BYTES = 0x3fff_ffff;

/** One direction of one connection. */
export class FrameScanner {
  readonly #kinds: Uint8Array;
  readonly #maxima: Int32Array;
  /** The beginning of a message whose rest has not come; empty when there is none. */
  #kept: Buffer = Buffer.alloc(0);
  #keptLength = 0;
  /** Bytes that are still to come of a streamed message. */
  #streamLeft = 0;
  #streamType = 0;

  constructor(table: FrameTable) {
    this.#kinds = table.kinds;
    this.#maxima = table.maxima;
  }

  /** Whether the stream may end here: no message has begun that has not ended. */
  get isBetweenMessages(): boolean {
    return this.#keptLength === 0 && this.#streamLeft === 0;
  }

  /**
   * Reads `chunk[start, end)`.
   *
   * @returns how far it was read: `end`, or where `sink` said to stop
   * @throws WireError `bad-length`, `too-long`, `unknown-type`: the connection has to be closed
   */
  scan(chunk: Buffer, start: number, end: number, sink: FrameSink): number {
    let at = start;
    while (at < end) {
      if (this.#streamLeft > 0) {
        const stop = Math.min(end, at + this.#streamLeft);
        this.#streamLeft -= stop - at;
        const from = at;
        at = stop;
        if (!sink.piece(this.#streamType, chunk, from, at, this.#streamLeft === 0)) return at;
        continue;
      }
      if (this.#keptLength > 0) {
        const next = this.#fill(chunk, at, end, sink);
        if (next < 0) return -next - 1;
        at = next;
        continue;
      }
      if (end - at < HEADER_BYTES) {
        this.#keep(chunk, at, end, HEADER_BYTES);
        return end;
      }
      const type = chunk[at] as number;
      const length = this.#lengthOf(type, chunk, at);
      const stop = at + length;
      if (stop <= end) {
        const from = at;
        at = stop;
        if (!sink.frame(type, chunk, from, stop)) return at;
      } else if (this.#kinds[type] === STREAMED) {
        this.#streamType = type;
        this.#streamLeft = stop - end;
        sink.piece(type, chunk, at, end, false);
        return end;
      } else {
        this.#keep(chunk, at, end, length);
        return end;
      }
    }
    return at;
  }

  /** @returns where to go on; `-1 - at` when the sink said to stop at `at` */
  #fill(chunk: Buffer, start: number, end: number, sink: FrameSink): number {
    let at = start;
    if (this.#keptLength < HEADER_BYTES) {
      const stop = Math.min(end, at + HEADER_BYTES - this.#keptLength);
      this.#append(chunk, at, stop);
      at = stop;
      if (this.#keptLength < HEADER_BYTES) return at;
    }
    const kept = this.#kept;
    const type = kept[0] as number;
    const length = this.#lengthOf(type, kept, 0);
    if (this.#kinds[type] === STREAMED) {
      this.#streamType = type;
      this.#streamLeft = length - this.#keptLength;
      const pieceEnd = this.#keptLength;
      this.#clear();
      return sink.piece(type, kept, 0, pieceEnd, this.#streamLeft === 0) ? at : -1 - at;
    }
    const stop = Math.min(end, at + length - this.#keptLength);
    this.#reserve(length);
    this.#append(chunk, at, stop);
    if (this.#keptLength < length) return stop;
    const whole = this.#kept;
    this.#clear();
    return sink.frame(type, whole, 0, length) ? stop : -1 - stop;
  }

  /** Length of the message with its header. */
  #lengthOf(type: number, bytes: Buffer, at: number): number {
    const kind = this.#kinds[type] ?? REFUSED;
    if (kind === REFUSED) throw new WireError('unknown-type', `a message of the unknown type ${type}`);
    const length = bytes.readInt32BE(at + 1);
    if (length < 4) throw new WireError('bad-length', `a message of type ${type} says it is ${length} bytes long`);
    const max = this.#maxima[type] as number;
    if (length > max) {
      throw new WireError('too-long', `a message of type ${type} has ${length} bytes; the limit is ${max}`);
    }
    return length + 1;
  }

  #keep(chunk: Buffer, start: number, end: number, length: number): void {
    this.#keptLength = 0;
    this.#kept = Buffer.allocUnsafe(firstRoom(length, end - start));
    this.#append(chunk, start, end);
  }

  #append(chunk: Buffer, start: number, end: number): void {
    const needed = this.#keptLength + end - start;
    if (needed > this.#kept.length) this.#grow(needed);
    chunk.copy(this.#kept, this.#keptLength, start, end);
    this.#keptLength = needed;
  }

  /** Room for what has come, not for what was announced: a length is a claim until its bytes are here. */
  #reserve(length: number): void {
    if (this.#kept.length < Math.min(length, ROOM_STEP_BYTES)) this.#grow(Math.min(length, ROOM_STEP_BYTES));
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#kept.length * 2));
    this.#kept.copy(larger, 0, 0, this.#keptLength);
    this.#kept = larger;
  }

  #clear(): void {
    this.#kept = EMPTY;
    this.#keptLength = 0;
  }
}

const EMPTY = Buffer.alloc(0);
const ROOM_STEP_BYTES = 64 * 1024;

function firstRoom(announced: number, present: number): number {
  return Math.max(present, Math.min(announced, ROOM_STEP_BYTES));
}

/** The plans of one direction, in the form that the scanner reads. */
export interface FrameTable {
  readonly kinds: Uint8Array;
  readonly maxima: Int32Array;
}

/** Types that `plans` does not name are refused. */
export function frameTable(plans: ReadonlyMap<number, FramePlan>): FrameTable {
  const kinds = new Uint8Array(256);
  const maxima = new Int32Array(256);
  for (const [type, plan] of plans) {
    if (plan.kind === 'refused') continue;
    kinds[type] = plan.kind === 'whole' ? WHOLE : STREAMED;
    maxima[type] = Math.min(plan.maxBytes, MAX_MESSAGE_BYTES);
  }
  return { kinds, maxima };
}

/** Longest messages of each use, in bytes of their length field. */
export interface FrameLimits {
  /** Messages that carry statements or parameters. */
  readonly statementBytes: number;
  /** Messages with names, counts and words only. */
  readonly smallBytes: number;
}

export const DEFAULT_LIMITS: FrameLimits = { statementBytes: 64 * 1024 * 1024, smallBytes: 64 * 1024 };

/** What a client may send after its login. */
export function clientFrames(limits: FrameLimits = DEFAULT_LIMITS): FrameTable {
  const statement: FramePlan = { kind: 'whole', maxBytes: limits.statementBytes };
  const small: FramePlan = { kind: 'whole', maxBytes: limits.smallBytes };
  return frameTable(
    new Map<number, FramePlan>([
      [CLIENT.query, statement],
      [CLIENT.parse, statement],
      [CLIENT.bind, statement],
      [CLIENT.functionCall, statement],
      [CLIENT.describe, small],
      [CLIENT.execute, small],
      [CLIENT.close, small],
      [CLIENT.copyFail, small],
      [CLIENT.flush, small],
      [CLIENT.sync, small],
      [CLIENT.copyDone, small],
      [CLIENT.terminate, small],
      [CLIENT.copyData, { kind: 'streamed', maxBytes: MAX_MESSAGE_BYTES }],
    ]),
  );
}

/** What a client may send while it logs in. */
export function loginFrames(maxBytes = 64 * 1024): FrameTable {
  const small: FramePlan = { kind: 'whole', maxBytes };
  return frameTable(
    new Map<number, FramePlan>([
      [CLIENT.password, small],
      [CLIENT.terminate, small],
    ]),
  );
}

/** What a server may send. Rows and copied data are passed on; all that changes the state of a session is put together. */
export function serverFrames(limits: FrameLimits = DEFAULT_LIMITS): FrameTable {
  const plans = new Map<number, FramePlan>();
  for (const type of Object.values(SERVER)) plans.set(type, { kind: 'whole', maxBytes: limits.smallBytes });
  const large: FramePlan = { kind: 'whole', maxBytes: limits.statementBytes };
  // Texts of errors quote statements; descriptions have up to 1664 columns, with their names.
  for (const type of [
    SERVER.errorResponse,
    SERVER.noticeResponse,
    SERVER.rowDescription,
    SERVER.parameterDescription,
    SERVER.parameterStatus,
    SERVER.copyInResponse,
    SERVER.copyOutResponse,
    SERVER.copyBothResponse,
    SERVER.notificationResponse,
  ]) {
    plans.set(type, large);
  }
  for (const type of [SERVER.dataRow, SERVER.copyData, SERVER.functionCallResponse]) {
    plans.set(type, { kind: 'streamed', maxBytes: MAX_MESSAGE_BYTES });
  }
  return frameTable(plans);
}
