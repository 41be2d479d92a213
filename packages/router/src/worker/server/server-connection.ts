/** One connection to a server: its login, its requests in their order, and the client that it serves at the moment. */

import type { Socket } from 'node:net';
import {
  Conversation,
  type ConversationListener,
  type ErrorFields,
  encodeClientMessage,
  encodeStartup,
  FrameScanner,
  type FrameSink,
  parseAuthentication,
  parseErrorFields,
  parseServerMessage,
  REQUEST,
  type RequestKind,
  SERVER,
  STAND_IN,
  serverFrames,
  UNASKED,
  WireError,
} from '@understudy/wire/postgres';
import type { Batch } from '../batch.ts';
import { type Credentials, ServerLogin } from './server-login.ts';
import { openServer, type ServerTls } from './server-socket.ts';
import { type Prepared, ServerStatements } from './server-statements.ts';

/** Whose a request is, and so where its answer goes. */
export const OF = {
  /** The client's: passed on. */
  client: 0,
  /** A Parse that the client's Bind needs here: only its error is passed on. */
  preparing: 1,
  /** The router's own: the answer ends here. */
  router: 2,
} as const;

/** Why a connection ended. */
export type Ended =
  /** The server said so. */
  | { readonly kind: 'told'; readonly error: ErrorFields }
  | { readonly kind: 'lost'; readonly code: string; readonly message: string }
  /** The router closed it. */
  | { readonly kind: 'closed' };

/** Told of what comes from the server while it serves a client. */
export interface ServerUser {
  readonly socket: Socket;
  /** ReadyForQuery came for a request of the client. */
  ready(server: ServerConnection): void;
  /** A request of the client failed. */
  failed(server: ServerConnection, kind: RequestKind, error: ErrorFields): 'pass' | 'swallow';
  /** A request of the client was answered by something other than an error. */
  parsed(isAccepted: boolean): void;
  /** CommandComplete of the client's; only when {@link wantsTags}. */
  completed(tag: string): void;
  readonly wantsTags: boolean;
  /** Set when a byte of an answer goes to the client: from then on nothing may be asked again. */
  isForwarded: boolean;
  parameter(name: string, value: string): void;
  /** The connection is gone. */
  lost(server: ServerConnection, ended: Ended): void;
}

/** A row of a statement of the router's own, as text. */
export type Row = readonly (string | null)[];
export type RunDone = (error: ErrorFields | null, rows: readonly Row[]) => void;

export interface ServerOptions {
  readonly member: string;
  readonly host: string;
  readonly port: number;
  readonly tls: ServerTls | null;
  readonly user: string;
  readonly database: string;
  readonly credentials: Credentials;
  readonly settings: readonly (readonly [string, string])[];
  readonly batch: Batch;
  /** Logged in, or free again. */
  readonly onReady: (server: ServerConnection) => void;
  readonly onEnded: (server: ServerConnection, ended: Ended) => void;
}

const FRAMES = serverFrames();
const HIGH_WATER_BYTES = 512 * 1024;
const PARSE_COMPLETE = Buffer.from([SERVER.parseComplete, 0, 0, 0, 4]);
const CLOSE_COMPLETE = Buffer.from([SERVER.closeComplete, 0, 0, 0, 4]);

export class ServerConnection implements FrameSink, ConversationListener {
  readonly options: ServerOptions;
  socket: Socket;
  readonly talk: Conversation;
  readonly statements = new ServerStatements();
  /** What it said of itself: ParameterStatus. */
  readonly parameters = new Map<string, string>();
  readonly #scanner = new FrameScanner(FRAMES);
  readonly #login: ServerLogin;
  #state: 'login' | 'ready' | 'ended' = 'login';
  user: ServerUser | null = null;
  processId = 0;
  secret: Buffer = Buffer.alloc(0);
  /** Settings that are not its own defaults, as text to compare; null: not known. */
  settings: string | null = '';
  freeSinceMs = performance.now();
  /** A cancel request for it is on its way: who uses it next must not be hit. */
  cancelsUnderway = 0;
  #rangeStart = 0;
  #rangeEnd = 0;
  #rangeBytes: Buffer | null = null;
  readonly #standIns: Buffer[] = [];
  #whenDone: RunDone | null = null;
  #ownError: ErrorFields | null = null;
  #ownRows: Row[] = [];
  #ownPieces: Buffer[] = [];

  constructor(options: ServerOptions) {
    this.options = options;
    this.#login = new ServerLogin(options.user, options.credentials, options.tls !== null && options.tls.ca !== null);
    this.talk = new Conversation(this);
    this.socket = openServer(options, {
      onOpen: (socket) => {
        this.socket = socket;
        if (this.#state === 'ended') socket.destroy();
        else this.#greet();
      },
      onBytes: (bytes, length) => this.#read(bytes, length),
      onLost: (code, message) => this.end({ kind: 'lost', code, message }),
    });
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  get isOpen(): boolean {
    return this.#state !== 'ended';
  }

  /** Free for anybody: nothing outstanding, no transaction, no client, no cancel underway. */
  get isFree(): boolean {
    return this.#state === 'ready' && this.user === null && this.talk.isIdle && this.cancelsUnderway === 0;
  }

  /** What it said last about being a replica: true, false; null when it does not say (before PostgreSQL 14). */
  get isReplica(): boolean | null {
    const text = this.parameters.get('in_hot_standby');
    return text === undefined ? null : text === 'on';
  }

  close(): void {
    this.end({ kind: 'closed' });
  }

  end(ended: Ended): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    if (ended.kind === 'closed' && this.socket.writable) this.socket.end(encodeClientMessage({ kind: 'terminate' }));
    else this.socket.destroy();
    const user = this.user;
    this.user = null;
    const whenDone = this.#whenDone;
    this.#whenDone = null;
    user?.lost(this, ended);
    whenDone?.(LOST, []);
    this.options.onEnded(this, ended);
  }

  /** A message of the client, as it came. */
  send(kind: RequestKind, bytes: Buffer, start: number, end: number, ref = 0): void {
    if (this.talk.push(kind, OF.client, ref)) this.options.batch.add(this.socket, bytes, start, end);
    this.#drainStandIns();
  }

  /** A request of the client that is answered here, in its turn. */
  standInFor(kind: RequestKind, ref: number): void {
    this.talk.push(kind, OF.client | STAND_IN, ref);
    this.#drainStandIns();
  }

  /** What is no request: data of a copy, Flush. */
  pass(bytes: Buffer, start: number, end: number): void {
    this.options.batch.add(this.socket, bytes, start, end);
  }

  /** Makes sure that a statement is prepared here; its own Parse goes first when it is not. */
  prepare(prepared: Prepared): string {
    const known = this.statements.nameOf(prepared);
    if (known !== null) return known;
    const name = this.statements.add(prepared);
    this.#sendParse(OF.preparing, name, prepared);
    for (const old of this.statements.evict()) this.#sendClose(old);
    return name;
  }

  /** The client's Parse: sent under the name that the statement has here, or answered at once where it is prepared already. */
  parse(prepared: Prepared): void {
    if (this.statements.nameOf(prepared) !== null) {
      this.standInFor(REQUEST.parse, prepared.id);
      return;
    }
    this.#sendParse(OF.client, this.statements.add(prepared), prepared);
    for (const old of this.statements.evict()) this.#sendClose(old);
  }

  #sendParse(tag: number, name: string, { text, types, id }: Prepared): void {
    const sent = this.talk.push(REQUEST.parse, tag, id);
    if (sent) this.options.batch.add(this.socket, encodeClientMessage({ kind: 'parse', name, text, types }));
    else this.statements.forget(id);
    this.#drainStandIns();
  }

  #sendClose(name: string): void {
    if (!this.talk.push(REQUEST.close, OF.router)) return;
    this.options.batch.add(this.socket, encodeClientMessage({ kind: 'close', target: 'statement', name }));
  }

  /** A statement of the router's own; `done` is told of its error or its rows. Only while nothing is outstanding. */
  run(text: string, done: RunDone): void {
    this.#whenDone = done;
    this.#ownError = null;
    this.#ownRows = [];
    this.talk.push(REQUEST.query, OF.router);
    this.options.batch.add(this.socket, encodeClientMessage({ kind: 'query', text }));
    this.options.batch.flush();
  }

  // ---- what the conversation tells

  dropped(kind: RequestKind, tag: number, ref: number): void {
    if (kind !== REQUEST.parse) return;
    if ((tag & STAND_IN) === 0) this.statements.forget(ref);
    if ((tag & ~STAND_IN) === OF.client) this.user?.parsed(false);
  }

  standIn(kind: RequestKind): void {
    this.#standIns.push(kind === REQUEST.parse ? PARSE_COMPLETE : CLOSE_COMPLETE);
    if (kind === REQUEST.parse) this.user?.parsed(true);
  }

  #drainStandIns(): void {
    if (this.#standIns.length === 0) return;
    this.#flushRange();
    for (const bytes of this.#standIns) {
      if (this.user === null) continue;
      this.user.isForwarded = true;
      this.options.batch.add(this.user.socket, bytes);
    }
    this.#standIns.length = 0;
  }

  // ---- reading

  #read(bytes: Buffer, length: number): boolean {
    try {
      this.#scanner.scan(bytes, 0, length, this);
      this.#flushRange();
      this.options.batch.flush();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.end({ kind: 'lost', code: 'PROTOCOL', message: error.message });
      this.options.batch.flush();
      return true;
    }
    return this.#mayGoOn();
  }

  /** A client that reads slowly makes its server wait, not the router's memory grow. */
  #mayGoOn(): boolean {
    const target = this.user?.socket;
    if (target === undefined || target.writableLength < HIGH_WATER_BYTES || target.destroyed) return true;
    this.socket.pause();
    target.once('drain', () => this.socket.resume());
    return false;
  }

  frame(type: number, bytes: Buffer, start: number, end: number): boolean {
    if (this.#state !== 'ready') return this.#loginFrame(type, bytes.subarray(start + 5, end));
    const status = type === SERVER.readyForQuery ? (bytes[start + 5] as number) : 0;
    const tag = this.talk.reply(type, status);
    if (tag === OF.client) this.#clients(type, bytes, start, end);
    else if (tag === UNASKED) this.#unasked(type, bytes, start, end);
    else this.#routers(type, tag, bytes, start, end);
    if (this.#standIns.length > 0) this.#drainStandIns();
    if (type === SERVER.readyForQuery) this.#isReadyAgain(tag);
    return this.#state === 'ready';
  }

  piece(type: number, bytes: Buffer, start: number, end: number, isLast: boolean): boolean {
    const tag = this.talk.reply(type, 0);
    if (tag === OF.client) this.#range(bytes, start, end);
    else this.#ownPieces.push(Buffer.from(bytes.subarray(start, end)));
    if (isLast && this.#ownPieces.length > 0) {
      const whole = Buffer.concat(this.#ownPieces);
      this.#ownPieces = [];
      this.#ownRow(type, whole.subarray(5));
    }
    return this.#state === 'ready';
  }

  #clients(type: number, bytes: Buffer, start: number, end: number): void {
    const user = this.user;
    if (user === null) return;
    if (type === SERVER.errorResponse) {
      const error = parseErrorFields(bytes.subarray(start + 5, end));
      if (isLast(error)) {
        // The client is not told as the server says it: it keeps its connection.
        this.end({ kind: 'told', error });
        return;
      }
      if (this.talk.lastKind === REQUEST.parse) this.#parseFailed(user);
      if (user.failed(this, this.talk.lastKind, error) === 'swallow') return;
    } else if (type === SERVER.parseComplete) {
      user.parsed(true);
    } else if (type === SERVER.commandComplete && user.wantsTags) {
      user.completed(bytes.toString('latin1', start + 5, end - 1));
    }
    this.#range(bytes, start, end);
  }

  #parseFailed(user: ServerUser): void {
    this.statements.forget(this.talk.lastRef);
    user.parsed(false);
  }

  #routers(type: number, tag: number, bytes: Buffer, start: number, end: number): void {
    if (type === SERVER.dataRow) this.#ownRow(type, bytes.subarray(start + 5, end));
    if (type !== SERVER.errorResponse) return;
    const error = parseErrorFields(bytes.subarray(start + 5, end));
    if (isLast(error)) {
      this.end({ kind: 'told', error });
    } else if (tag === OF.preparing) {
      this.statements.forget(this.talk.lastRef);
      this.#range(bytes, start, end);
    } else {
      this.#ownError = error;
    }
  }

  #ownRow(type: number, body: Buffer): void {
    const message = parseServerMessage(type, body);
    if (message.kind !== 'data-row') return;
    this.#ownRows.push(message.values.map((each) => each?.toString('utf8') ?? null));
  }

  #unasked(type: number, bytes: Buffer, start: number, end: number): void {
    if (type === SERVER.parameterStatus) {
      const message = parseServerMessage(type, bytes.subarray(start + 5, end));
      if (message.kind === 'parameter-status') {
        this.parameters.set(message.name, message.value);
        this.user?.parameter(message.name, message.value);
        // Where the server is a replica the router hides: clients would turn away from an address that takes writes.
        if (message.name === 'in_hot_standby') return;
      }
    }
    if (type === SERVER.errorResponse) {
      this.end({ kind: 'told', error: parseErrorFields(bytes.subarray(start + 5, end)) });
      return;
    }
    if (this.user !== null) this.#range(bytes, start, end);
  }

  #isReadyAgain(tag: number): void {
    if (tag === OF.client) {
      this.user?.ready(this);
    } else if (tag === OF.router && this.#whenDone !== null) {
      const done = this.#whenDone;
      this.#whenDone = null;
      done(this.#ownError, this.#ownRows);
    }
  }

  #range(bytes: Buffer, start: number, end: number): void {
    if (this.#rangeBytes === bytes && this.#rangeEnd === start) {
      this.#rangeEnd = end;
      return;
    }
    this.#flushRange();
    this.#rangeBytes = bytes;
    this.#rangeStart = start;
    this.#rangeEnd = end;
  }

  #flushRange(): void {
    const bytes = this.#rangeBytes;
    if (bytes === null) return;
    this.#rangeBytes = null;
    if (this.user === null) return;
    this.user.isForwarded = true;
    this.options.batch.add(this.user.socket, bytes, this.#rangeStart, this.#rangeEnd);
  }

  /** What was read for the client so far goes out before the connection serves somebody else. */
  detach(): void {
    this.#flushRange();
    this.user = null;
  }

  // ---- login

  #greet(): void {
    const { user, database, settings } = this.options;
    this.socket.write(encodeStartup({ major: 3, minor: 0 }, [['user', user], ['database', database], ...settings]));
  }

  #loginFrame(type: number, body: Buffer): boolean {
    switch (type) {
      case SERVER.authentication:
        this.#answer(parseAuthentication(Buffer.from(body)));
        return true;
      case SERVER.errorResponse:
        this.end({ kind: 'told', error: parseErrorFields(body) });
        return false;
      case SERVER.parameterStatus: {
        const message = parseServerMessage(type, body);
        if (message.kind === 'parameter-status') this.parameters.set(message.name, message.value);
        return true;
      }
      case SERVER.backendKeyData: {
        const message = parseServerMessage(type, body);
        if (message.kind === 'backend-key-data') {
          this.processId = message.processId;
          this.secret = message.secret;
        }
        return true;
      }
      case SERVER.readyForQuery:
        this.#state = 'ready';
        this.options.onReady(this);
        return true;
      case SERVER.noticeResponse:
      case SERVER.negotiateProtocolVersion:
        return true;
      default:
        throw new WireError('unexpected', `a message of type ${type} came during the login`);
    }
  }

  #answer(question: ReturnType<typeof parseAuthentication>): void {
    this.#login.answer(question).then(
      (bytes) => {
        if (bytes !== null && this.#state === 'login') this.socket.write(bytes);
      },
      (error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        this.end({ kind: 'told', error: { severity: 'FATAL', code: '28P01', message } });
      },
    );
  }
}

/** Whether the server closes the connection behind it. */
const isLast = ({ severity }: ErrorFields): boolean => severity === 'FATAL' || severity === 'PANIC';

const LOST: ErrorFields = { severity: 'FATAL', code: '08006', message: 'the connection to the server was lost' };
