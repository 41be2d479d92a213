/**
 * Which answer belongs to which request on one server connection, and when nothing is outstanding any more.
 *
 * PostgreSQL answers in the order of the requests, so a queue of what was sent is enough, with three exceptions that are its rules:
 * - after an error in the extended protocol the server reads and drops everything up to the next Sync, simple queries included;
 * - while it copies in, the server drops Sync and Flush, and after an error of a copy it drops late CopyData, CopyDone and CopyFail;
 * - notices, notifications and parameters come at any time and answer nothing.
 */

import { WireError } from '../error.ts';
import { SERVER, STATUS, type TransactionStatus } from '../types.ts';

/** Requests that are answered, and the end of a copy. */
export const REQUEST = {
  query: 1,
  functionCall: 2,
  parse: 3,
  bind: 4,
  describeStatement: 5,
  describePortal: 6,
  execute: 7,
  close: 8,
  sync: 9,
  /** CopyDone or CopyFail: not answered by itself. */
  copyEnd: 10,
} as const;
export type RequestKind = (typeof REQUEST)[keyof typeof REQUEST];

/** What {@link Conversation.reply} says of messages that answer nothing. */
export const UNASKED = -1;

/** Told of what happens to requests without an answer of the server. */
export interface ConversationListener {
  /** The server dropped a request after an error: it will not be answered, and had no effect. */
  dropped(kind: RequestKind, tag: number, ref: number): void;
  /** A request that was never sent to the server is next to be answered. */
  standIn(kind: RequestKind, tag: number, ref: number): void;
}

/** Bit of {@link Conversation.push}'s tags: the request is answered here, in its turn, and not sent. */
export const STAND_IN = 0x4000_0000;

const FIRST_CAPACITY = 16;

export class Conversation {
  readonly #listener: ConversationListener;
  #kinds = new Uint8Array(FIRST_CAPACITY);
  #tags = new Int32Array(FIRST_CAPACITY);
  #refs = new Int32Array(FIRST_CAPACITY);
  #first = 0;
  #count = 0;
  #status: TransactionStatus = STATUS.idle;
  /** Requests were sent since the last Sync. */
  #isGroupOpen = false;
  /** An error came whose Sync was not sent yet. */
  #isSkipping = false;
  /** `broken`: the server copies in, and a request that is no data was sent: it will fail. */
  #copy: 'none' | 'in' | 'broken' | 'both' = 'none';
  /** Kind and reference of the request that the last answer belonged to. */
  lastKind: RequestKind = REQUEST.sync;
  lastRef = 0;
  /** Whether the last answer ended its request. */
  lastEnded = false;

  constructor(listener: ConversationListener) {
    this.#listener = listener;
  }

  /** Status of the last ReadyForQuery. */
  get status(): TransactionStatus {
    return this.#status;
  }

  /** Requests without a complete answer. */
  get outstanding(): number {
    return this.#count;
  }

  /** The server waits for data of a copy. */
  get isCopyingIn(): boolean {
    return this.#copy !== 'none';
  }

  /** Nothing is outstanding, no group of requests is open, and no transaction: another client may use the connection. */
  get isIdle(): boolean {
    return this.#count === 0 && !this.#isGroupOpen && this.#copy === 'none' && this.#status === STATUS.idle;
  }

  /** Requests were sent that no Sync ended. */
  get isGroupOpen(): boolean {
    return this.#isGroupOpen || this.#isSkipping;
  }

  /** An error came: the server drops everything until a Sync is sent. */
  get isSkipping(): boolean {
    return this.#isSkipping;
  }

  /** How many of the outstanding requests end with a ReadyForQuery. */
  get readiesOwed(): number {
    let owed = 0;
    for (let offset = 0; offset < this.#count; offset++) {
      const kind = this.#kinds[this.#slot(offset)];
      if (kind === REQUEST.query || kind === REQUEST.sync || kind === REQUEST.functionCall) owed++;
    }
    return owed;
  }

  /** Nothing is outstanding and no group of requests is open; a transaction may be. */
  get isBetweenRequests(): boolean {
    return this.#count === 0 && !this.#isGroupOpen && this.#copy === 'none';
  }

  /**
   * A request of the client, in its turn.
   *
   * @param tag whose request it is, given back with its answers; with {@link STAND_IN} when it is not sent
   * @param ref anything, given back with its answers
   * @returns whether the message is to be sent: false when the server would drop it unanswered
   * @throws WireError `unexpected` for a request in the middle of a copy
   */
  push(kind: RequestKind, tag = 0, ref = 0): boolean {
    if (kind === REQUEST.sync) {
      if (this.#copy === 'in') return false;
      this.#isSkipping = false;
      this.#isGroupOpen = false;
    } else if (this.#isSkipping) {
      return false;
    } else if (kind === REQUEST.copyEnd) {
      if (this.#count === 0) return false;
      this.#copy = 'none';
    } else if (this.#copy === 'in') {
      throw new WireError('unexpected', 'a request came in the middle of a COPY FROM STDIN');
    } else if (kind !== REQUEST.query && kind !== REQUEST.functionCall) {
      this.#isGroupOpen = true;
    }
    this.#append(kind, tag, ref);
    if (this.#count === 1) this.#settle();
    return (tag & STAND_IN) === 0;
  }

  /** @returns whether CopyData is to be sent: false when it comes too late or belongs to nothing */
  copyData(): boolean {
    return this.#copy !== 'none' || (this.#count > 0 && !this.#isSkipping);
  }

  /** @returns whether Flush is to be sent */
  flush(): boolean {
    return this.#copy !== 'in' && !this.#isSkipping;
  }

  /**
   * A message of the server.
   *
   * @param status of ReadyForQuery; not looked at for other types
   * @returns the tag of the request that it answers; {@link UNASKED} when it answers none
   * @throws WireError `unexpected`: the connection cannot be used any more
   */
  reply(type: number, status: number): number {
    switch (type) {
      case SERVER.noticeResponse:
      case SERVER.parameterStatus:
      case SERVER.notificationResponse:
        return UNASKED;
      case SERVER.errorResponse:
        return this.#failed();
      default:
        return this.#answered(type, status);
    }
  }

  #answered(type: number, status: number): number {
    if (this.#count === 0) throw surprise(type, 0);
    const kind = this.#kinds[this.#first] as RequestKind;
    const tag = this.#note(kind);
    const effect = effectOf(type, kind);
    switch (effect) {
      case 'goes-on':
        return tag;
      case 'ends':
        this.#pop();
        this.#settle();
        return tag;
      case 'copy-in':
        this.#beginCopyIn();
        return tag;
      case 'copy-both':
        this.#copy = 'both';
        return tag;
      case 'ready':
        this.#status = status as TransactionStatus;
        this.#copy = 'none';
        this.#pop();
        this.#settle();
        return tag;
      case 'surprises':
        throw surprise(type, kind);
    }
  }

  #note(kind: RequestKind): number {
    this.lastKind = kind;
    this.lastRef = this.#refs[this.#first] as number;
    this.lastEnded = false;
    return this.#tags[this.#first] as number;
  }

  #failed(): number {
    if (this.#count === 0) return UNASKED;
    const kind = this.#kinds[this.#first] as RequestKind;
    const tag = this.#note(kind);
    const wasCopying = this.#copy;
    this.#copy = 'none';
    if (kind === REQUEST.sync) return tag;
    if (kind === REQUEST.query || kind === REQUEST.functionCall) {
      // A request in the middle of a copy is what failed: the server has read it, and answers it no more.
      if (wasCopying === 'broken') this.#dropSecond();
      return tag;
    }
    this.#pop();
    while (this.#count > 0 && this.#kinds[this.#first] !== REQUEST.sync) this.#dropFirst();
    this.#isSkipping = this.#count === 0;
    return tag;
  }

  /** The server drops the Sync that came right behind the request, as libpq sends it. */
  #beginCopyIn(): void {
    while (this.#count > 1 && this.#kinds[this.#slot(1)] === REQUEST.sync) {
      this.#removeSecond();
      this.#isGroupOpen = true;
    }
    if (this.#count === 1) this.#copy = 'in';
    else this.#copy = this.#kinds[this.#slot(1)] === REQUEST.copyEnd ? 'none' : 'broken';
  }

  #append(kind: RequestKind, tag: number, ref: number): void {
    if (this.#count === this.#kinds.length) this.#grow();
    const slot = this.#slot(this.#count++);
    this.#kinds[slot] = kind;
    this.#tags[slot] = tag;
    this.#refs[slot] = ref;
  }

  #slot(offset: number): number {
    return (this.#first + offset) & (this.#kinds.length - 1);
  }

  #pop(): void {
    this.#first = this.#slot(1);
    this.#count--;
    this.lastEnded = true;
  }

  /** Answers what is answered here, and forgets what is not answered at all. */
  #settle(): void {
    while (this.#count > 0) {
      const kind = this.#kinds[this.#first] as RequestKind;
      const tag = this.#tags[this.#first] as number;
      if (kind !== REQUEST.copyEnd && (tag & STAND_IN) === 0) return;
      const ref = this.#refs[this.#first] as number;
      this.#first = this.#slot(1);
      this.#count--;
      if (kind !== REQUEST.copyEnd) this.#listener.standIn(kind, tag, ref);
    }
  }

  #dropFirst(): void {
    const slot = this.#first;
    this.#first = this.#slot(1);
    this.#count--;
    this.#tellDropped(slot);
  }

  #dropSecond(): void {
    this.#tellDropped(this.#slot(1));
    this.#removeSecond();
  }

  #tellDropped(slot: number): void {
    const kind = this.#kinds[slot] as RequestKind;
    this.#listener.dropped(kind, this.#tags[slot] as number, this.#refs[slot] as number);
  }

  #removeSecond(): void {
    for (let offset = 1; offset < this.#count - 1; offset++) {
      const [to, from] = [this.#slot(offset), this.#slot(offset + 1)];
      this.#kinds[to] = this.#kinds[from] as number;
      this.#tags[to] = this.#tags[from] as number;
      this.#refs[to] = this.#refs[from] as number;
    }
    this.#count--;
  }

  #grow(): void {
    const capacity = this.#kinds.length * 2;
    const [kinds, tags, refs] = [new Uint8Array(capacity), new Int32Array(capacity), new Int32Array(capacity)];
    for (let offset = 0; offset < this.#count; offset++) {
      const slot = this.#slot(offset);
      kinds[offset] = this.#kinds[slot] as number;
      tags[offset] = this.#tags[slot] as number;
      refs[offset] = this.#refs[slot] as number;
    }
    this.#kinds = kinds;
    this.#tags = tags;
    this.#refs = refs;
    this.#first = 0;
  }
}

type Effect = 'goes-on' | 'ends' | 'ready' | 'copy-in' | 'copy-both' | 'surprises';

/** What a message means for the request whose turn it is. */
function effectOf(type: number, kind: RequestKind): Effect {
  const isRunning = kind === REQUEST.query || kind === REQUEST.execute;
  const isDescribe = kind === REQUEST.describeStatement || kind === REQUEST.describePortal;
  switch (type) {
    case SERVER.dataRow:
    case SERVER.copyData:
    case SERVER.copyDone:
    case SERVER.copyOutResponse:
      return isRunning ? 'goes-on' : 'surprises';
    case SERVER.commandComplete:
    case SERVER.emptyQueryResponse:
      return kind === REQUEST.query ? 'goes-on' : kind === REQUEST.execute ? 'ends' : 'surprises';
    case SERVER.readyForQuery:
      return kind === REQUEST.query || kind === REQUEST.sync || kind === REQUEST.functionCall ? 'ready' : 'surprises';
    case SERVER.parseComplete:
      return kind === REQUEST.parse ? 'ends' : 'surprises';
    case SERVER.bindComplete:
      return kind === REQUEST.bind ? 'ends' : 'surprises';
    case SERVER.closeComplete:
      return kind === REQUEST.close ? 'ends' : 'surprises';
    case SERVER.parameterDescription:
      return kind === REQUEST.describeStatement ? 'goes-on' : 'surprises';
    case SERVER.noData:
      return isDescribe ? 'ends' : 'surprises';
    case SERVER.rowDescription:
      return kind === REQUEST.query ? 'goes-on' : isDescribe ? 'ends' : 'surprises';
    case SERVER.portalSuspended:
      return kind === REQUEST.execute ? 'ends' : 'surprises';
    case SERVER.functionCallResponse:
      return kind === REQUEST.functionCall ? 'goes-on' : 'surprises';
    case SERVER.copyInResponse:
      return isRunning ? 'copy-in' : 'surprises';
    case SERVER.copyBothResponse:
      return isRunning ? 'copy-both' : 'surprises';
    default:
      return 'surprises';
  }
}

function surprise(type: number, kind: number): WireError {
  return new WireError('unexpected', `the server sent a message of type ${type} while request ${kind} was next`);
}
