/** One client after its login: reads its requests, gets it a server for each transaction, and stands by it when that server is lost. */

import type { Socket } from 'node:net';
import type { Classification, PinReason } from '@understudy/routing';
import {
  CLIENT,
  clientFrames,
  type ErrorFields,
  encodeError,
  FrameScanner,
  type FrameSink,
  REQUEST,
  STATUS,
  WireError,
} from '@understudy/wire/postgres';
import type { Pooling } from '../../config/config.ts';
import type { Wanted } from '../../topology/view.ts';
import type { Batch } from '../batch.ts';
import type { Pool, Waiter } from '../pool/pool.ts';
import { cleanUp, DISCARD_ALL } from '../server/clean-up.ts';
import type { Ended, ServerConnection, ServerUser } from '../server/server-connection.ts';
import type { PreparedRegistry } from '../server/server-statements.ts';
import { failedRequests, fatal, readyForQuery, STATUS_FAILED, STATUS_IDLE } from './answers.ts';
import { ClientRequests } from './client-requests.ts';
import { CopyRelay } from './copy-relay.ts';
import { type AtLoss, describe, lossError, lossOutcome, sentOf, type UnderWay, underWayOf, worse } from './loss.ts';
import { preparation, type Step } from './preparation.ts';
import { isReset, isSafeEncoding, SessionSettings, type Settings } from './session-settings.ts';
import { endsGroup, type Frame, FUNCTION_CALL, owned, ownedFrames, queryText, type Work } from './work.ts';

/** What a session needs of its worker. */
export interface SessionHost {
  readonly batch: Batch;
  readonly pool: Pool;
  readonly registry: PreparedRegistry;
  classify(text: string, session: SessionFacts): Classification;
  classifyGroup(list: readonly Classification[]): Classification;
  /** Stops what a server does for a client that went away. */
  cancel(server: ServerConnection): void;
  counted(what: 'replay' | { readonly lost: string }): void;
  ended(session: ClientSession): void;
}

export interface SessionFacts {
  readonly standardConformingStrings: boolean;
  readonly isEncodingSafe: boolean;
}

export interface SessionOptions {
  readonly host: SessionHost;
  readonly socket: Socket;
  readonly user: string;
  readonly database: string;
  readonly settings: Settings;
  /** What the port that it came through gives. */
  readonly wanted: Wanted;
  readonly pooling: Pooling;
}

/** Why a session keeps its server connection. */
export type KeepReason = PinReason | 'session-pooling';

const FRAMES = clientFrames();
const HIGH_WATER_BYTES = 512 * 1024;
/** A read that is not larger than this is kept until it is answered, so that it can be asked again. */
const REPLAY_MAX_BYTES = 64 * 1024;
/** More requests than this are passed on before their Sync has come. */
const GROUP_MAX = 4_096;
/** A client that does not close its side after our last word is cut off. */
const LAST_WORDS_MS = 2_000;
const GROUP_MAX_BYTES = 16 * 1024 * 1024;

export class ClientSession implements ServerUser, FrameSink {
  readonly socket: Socket;
  readonly user: string;
  readonly database: string;
  readonly #host: SessionHost;
  readonly #wanted: Wanted;
  readonly #pooling: Pooling;
  readonly #scanner = new FrameScanner(FRAMES);
  readonly settings: SessionSettings;
  #server: ServerConnection | null = null;
  /** Bytes that came while the client has to wait. */
  #rest: Buffer | null = null;
  /** Work that waits for a server. */
  #waiting: { readonly work: Work; readonly waiter: Waiter } | null = null;
  /** Requests of a group whose Sync has not come. */
  #group: Frame[] = [];
  #groupBytes = 0;
  readonly #requests = new ClientRequests();
  readonly #copy = new CopyRelay();
  /** The last work, as long as it could be asked again; null when not. */
  #replayable: Work | null = null;
  #underWay: UnderWay = 'read';
  #hasFailed = false;
  /** The transaction that the client thinks it is in was lost with its server. */
  #isTransactionLost = false;
  /** To be said with the next request: the server was lost while nothing was asked. */
  #owedError: ErrorFields | null = null;
  #skipsToSync = false;
  readonly #pins = new Set<PinReason>();
  /** All that it ran so far was understood: what it left behind is known. */
  #isUnderstood = true;
  #lastTag = '';
  #closed = false;
  isForwarded = false;
  facts: SessionFacts = { standardConformingStrings: true, isEncodingSafe: true };

  constructor({ host, socket, user, database, settings, wanted, pooling }: SessionOptions) {
    this.user = user;
    this.database = database;
    this.#host = host;
    this.socket = socket;
    this.#wanted = wanted;
    this.#pooling = pooling;
    this.settings = new SessionSettings(settings);
    socket.on('error', () => this.close());
    socket.on('end', () => this.close());
    socket.on('close', () => this.close());
  }

  /** What it does, for `SHOW`. */
  get state(): 'active' | 'waiting' | 'idle' {
    return this.#waiting !== null ? 'waiting' : this.#server !== null ? 'active' : 'idle';
  }

  get server(): ServerConnection | null {
    return this.#server;
  }

  get pins(): ReadonlySet<KeepReason> {
    const isKept = this.#pooling === 'session' && this.#server !== null;
    return isKept ? new Set<KeepReason>(['session-pooling', ...this.#pins]) : this.#pins;
  }

  /** What is lost with the server cannot be made again on another one. */
  get #hasLostState(): boolean {
    return this.#pins.size > 0 || (this.#pooling === 'session' && !this.#isUnderstood);
  }

  get wantsTags(): boolean {
    return this.settings.hasPending;
  }

  // ---- reading from the client

  /** @returns whether to go on reading */
  read(bytes: Buffer, length: number): boolean {
    if (this.#closed) return false;
    if (this.#isBlocked || this.#rest !== null) {
      this.#keep(bytes, 0, length);
      return false;
    }
    this.#scan(bytes, 0, length);
    this.#host.batch.flush();
    return this.#mayRead();
  }

  get #isBlocked(): boolean {
    return this.#waiting !== null;
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    const more = bytes.subarray(start, end);
    this.#rest = this.#rest === null ? Buffer.from(more) : Buffer.concat([this.#rest, more]);
  }

  #scan(bytes: Buffer, start: number, end: number): void {
    this.#guarded(() => {
      const read = this.#scanner.scan(bytes, start, end, this);
      if (read < end && !this.#closed) this.#keep(bytes, read, end);
      if (this.#group.length > 0) this.#group = ownedFrames(this.#group);
    });
  }

  /** What a client sends wrong ends its own connection, and nothing else. */
  #guarded(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#refuse('08P01', error.message);
    }
  }

  #mayRead(): boolean {
    if (this.#closed) return false;
    if (this.#isBlocked) {
      this.socket.pause();
      return false;
    }
    const target = this.#server?.socket;
    if (target === undefined || target.writableLength < HIGH_WATER_BYTES) return true;
    this.socket.pause();
    target.once('drain', () => this.#goOn());
    target.once('close', () => this.#goOn());
    return false;
  }

  /** Takes up what had to wait. */
  #goOn(): void {
    if (this.#closed || this.#isBlocked) return;
    const rest = this.#rest;
    this.#rest = null;
    if (rest !== null) this.#scan(rest, 0, rest.length);
    this.#host.batch.flush();
    if (!this.#isBlocked && !this.#closed) this.socket.resume();
  }

  frame(type: number, bytes: Buffer, start: number, end: number): boolean {
    if (this.#skipsToSync && type !== CLIENT.sync && type !== CLIENT.terminate) return true;
    switch (type) {
      case CLIENT.query:
        return this.#query(bytes.subarray(start, end));
      case CLIENT.terminate:
        this.close();
        return false;
      case CLIENT.functionCall:
        return this.#start(this.#single('function-call', FUNCTION_CALL, bytes.subarray(start, end)));
      case CLIENT.copyData:
        return this.piece(type, bytes, start, end, true);
      case CLIENT.copyDone:
      case CLIENT.copyFail:
        this.#server?.send(REQUEST.copyEnd, bytes, start, end);
        return true;
      default:
        return this.#gather(type, bytes.subarray(start, end));
    }
  }

  piece(_type: number, bytes: Buffer, start: number, end: number, isLast: boolean): boolean {
    const server = this.#server;
    this.#copy.pass(server, bytes, start, end, isLast);
    if (isLast && server?.talk.isIdle === true) this.#released(server);
    return true;
  }

  #query(frame: Buffer): boolean {
    const found = this.#host.classify(queryText(frame), this.facts);
    return this.#start(this.#single('query', found, frame));
  }

  #single(kind: 'query' | 'function-call', found: Classification, bytes: Buffer): Work {
    const type = kind === 'query' ? CLIENT.query : CLIENT.functionCall;
    return { kind, class: found, frames: [{ type, bytes }], bytes: bytes.length, isWhole: true };
  }

  /** A request of the extended protocol. They are passed on by groups: where a group goes, all of it decides. */
  #gather(type: number, bytes: Buffer): boolean {
    if (this.#skipsToSync) {
      this.#skipsToSync = false;
      this.#say(readyForQuery(this.#isTransactionLost ? STATUS_FAILED : STATUS_IDLE));
      return true;
    }
    this.#group.push({ type, bytes });
    this.#groupBytes += bytes.length;
    const isFull = this.#group.length >= GROUP_MAX || this.#groupBytes >= GROUP_MAX_BYTES;
    if (!endsGroup(type) && !isFull) return true;
    const frames = this.#group;
    const size = this.#groupBytes;
    this.#group = [];
    this.#groupBytes = 0;
    return this.#start(this.#groupOf(frames, size, type === CLIENT.sync));
  }

  /** Reads the names and texts of a group, so that its class is known before anything of it is sent. */
  #groupOf(frames: readonly Frame[], size: number, isWhole: boolean): Work {
    const host = this.#host;
    const read = this.#requests.read(frames, host.registry, (text) => host.classify(text, this.facts));
    return { kind: 'group', frames: read.frames, class: host.classifyGroup(read.classes), bytes: size, isWhole };
  }

  // ---- running

  /** @returns false when the client has to wait for a server */
  #start(work: Work): boolean {
    if (this.#owedError !== null) {
      const error = this.#owedError;
      this.#owedError = null;
      this.#fail(work, error);
      return true;
    }
    if (this.#server === null) {
      if (work.frames.length === 1 && work.frames[0]?.type === CLIENT.sync) {
        this.#say(readyForQuery(this.#isTransactionLost ? STATUS_FAILED : STATUS_IDLE));
        return true;
      }
      const server = this.#host.pool.acquire(this.#wanted);
      if (server === null || !this.#link(server, work)) {
        if (server === null) this.#queue(owned(work));
        return false;
      }
    }
    this.#execute(work);
    return !this.#closed;
  }

  #queue(work: Work): void {
    const waiter: Waiter = {
      wanted: this.#wanted,
      sinceMs: performance.now(),
      bytes: work.bytes,
      take: (server) => {
        this.#waiting = null;
        if (this.#link(server, work)) this.#begin(work);
      },
      refuse: (error) => {
        this.#waiting = null;
        this.#fail(work, { ...error, severity: 'ERROR' });
        this.#goOn();
      },
    };
    this.#waiting = { work, waiter };
    this.#host.pool.wait(waiter);
  }

  #begin(work: Work): void {
    this.#guarded(() => this.#execute(work));
    this.#host.batch.flush();
    this.#goOn();
  }

  /** Makes a connection this session's. @returns false when it has to be prepared first; the work goes on by itself then */
  #link(server: ServerConnection, work: Work): boolean {
    this.#server = server;
    server.user = this;
    const text = preparation(server, this.settings.text, this.#isTransactionLost);
    if (text === null) return true;
    const kept = owned(work);
    const waiter: Waiter = {
      wanted: this.#wanted,
      sinceMs: 0,
      bytes: 0,
      take: () => undefined,
      refuse: () => undefined,
    };
    this.#waiting = { work: kept, waiter };
    this.#prepare(server, text, kept);
    return false;
  }

  /** Statements of the router's own, one after another, before the client's first one. */
  #prepare(server: ServerConnection, steps: readonly Step[], work: Work): void {
    const [step, ...rest] = steps;
    if (step === undefined) {
      server.settings = this.settings.text;
      this.#waiting = null;
      this.#isTransactionLost = false;
      if (!this.#closed) this.#begin(work);
      return;
    }
    server.run(step.text, (error) => {
      if (this.#server !== server) return;
      if (error !== null && step.mustSucceed) {
        server.settings = null;
        this.#waiting = null;
        this.#unlink(server);
        this.#fail(work, { ...error, detail: 'The settings of the session could not be restored on its server.' });
        this.#goOn();
        return;
      }
      if (step.forgetsStatements) server.statements.forgetAll();
      this.#prepare(server, rest, work);
    });
  }

  #execute(work: Work): void {
    const server = this.#server;
    if (server === null) return;
    if (server.talk.outstanding === 0) this.isForwarded = false;
    this.#hasFailed = false;
    this.#note(work, server);
    for (const frame of work.frames) this.#requests.send(server, frame);
    if (!work.isWhole || server.talk.outstanding > 0) return;
    // All of it was answered here: there was nothing for the server in it.
    if (server.talk.isIdle) this.#released(server);
  }

  /** What has to be known of the work when its server is lost, and what it does to the session. */
  #note(work: Work, server: ServerConnection): void {
    const { talk } = server;
    const found = work.class;
    const isAlone = talk.outstanding === 0;
    const underWay = underWayOf(found, talk.status !== STATUS.idle);
    this.#underWay = isAlone ? underWay : worse(this.#underWay, underWay);
    const mayRepeat = isAlone && underWay === 'read' && work.isWhole && work.bytes <= REPLAY_MAX_BYTES;
    this.#replayable = mayRepeat ? owned(work) : null;
    if (found.effects.length > 0 || found.transaction !== null) this.#noteEffects(found, server);
    for (const pin of found.pins) this.#pins.add(pin);
    if (found.knowledge !== 'full') this.#isUnderstood = false;
  }

  #noteEffects(found: Classification, server: ServerConnection): void {
    const { statements } = server;
    // It leads to the server's own defaults, not to what the client began with: nobody knows what the connection has then.
    if (found.effects.some(isReset)) server.settings = null;
    if (!this.settings.note(found)) this.#pins.add('untracked-setting');
    for (const effect of found.effects) {
      if (effect.kind === 'deallocate' || (effect.kind === 'discard' && effect.what === 'all')) {
        statements.forgetAll();
        if (effect.kind === 'discard' || effect.name === null) this.#requests.forgetStatements();
      }
    }
  }

  // ---- what the server says

  parsed(isAccepted: boolean): void {
    this.#requests.parsed(isAccepted);
  }

  completed(tag: string): void {
    this.#lastTag = tag;
  }

  parameter(name: string, value: string): void {
    if (name === 'standard_conforming_strings') {
      this.facts = { ...this.facts, standardConformingStrings: value === 'on' };
    } else if (name === 'client_encoding') {
      this.facts = { ...this.facts, isEncodingSafe: isSafeEncoding(value) };
    }
  }

  failed(): 'pass' | 'swallow' {
    this.#hasFailed = true;
    return 'pass';
  }

  ready(server: ServerConnection): void {
    if (this.settings.hasPending && server.talk.outstanding > 0) {
      // Of requests that follow one another without waiting, nobody can tell which of them has set what.
      this.#pins.add('untracked-setting');
      server.settings = null;
    } else if (this.settings.hasPending && server.talk.status === STATUS.idle) {
      const isUndone = this.#hasFailed || this.#lastTag === 'ROLLBACK';
      this.settings.settle(isUndone ? 'undone' : 'kept');
      // What the server has now is what the session has, unless something went wrong on the way.
      if (server.settings !== null) server.settings = isUndone ? null : this.settings.text;
    }
    this.#lastTag = '';
    if (!server.talk.isIdle) return;
    this.#replayable = null;
    this.#released(server);
  }

  /** Nothing is under way any more: the connection may serve others, unless the session has to keep it. */
  #released(server: ServerConnection): void {
    if (this.#pooling === 'session' || this.#pins.size > 0 || this.#group.length > 0) return;
    if (this.#copy.isInside(server)) return;
    this.#unlink(server);
  }

  #unlink(server: ServerConnection): void {
    this.#server = null;
    server.detach();
    this.#host.pool.release(server);
  }

  lost(server: ServerConnection, ended: Ended): void {
    this.#server = null;
    if (this.#closed) return;
    const at = this.#atLoss(server);
    const unsent = this.#waiting?.work ?? null;
    this.#waiting = null;
    const mayReplay = lossOutcome(ended, at).action === 'replay' && !at.isPinned;
    const again = unsent ?? (mayReplay ? this.#replayable : null);
    this.#replayable = null;
    if (again !== null && !at.isPinned) {
      this.#requests.forgetUnanswered();
      if (unsent === null) this.#host.counted('replay');
      this.#queue(again);
      return;
    }
    this.#reportLoss(server, ended, at);
    this.#requests.forgetUnanswered();
    this.settings.settle('undone');
    this.#host.batch.flush();
    this.#goOn();
  }

  #atLoss({ talk }: ServerConnection): AtLoss {
    return {
      underWay: this.#underWay,
      isInTransaction: talk.status !== STATUS.idle,
      isBusy: talk.outstanding > 0 || talk.isGroupOpen,
      isCopyingIn: talk.isCopyingIn,
      isForwarded: this.isForwarded,
      isPinned: this.#hasLostState,
    };
  }

  #reportLoss({ talk }: ServerConnection, ended: Ended, at: AtLoss): void {
    // A read that may not be asked again (it was pipelined, or is too large) is told like one whose answer had begun.
    const error = lossError(ended, at) ?? lossError(ended, { ...at, isForwarded: true });
    if (at.isPinned) {
      const kept =
        this.#pins.size > 0 ? [...this.#pins].join(', ') : 'a function or text that the router does not know';
      const lost = error ?? lossError(ended, { ...at, isBusy: false, isInTransaction: false });
      if (lost !== null) this.#end(encodeError({ ...lost, severity: 'FATAL', detail: `${describe(ended)} (${kept})` }));
      return;
    }
    if (error === null) return;
    this.#host.counted({ lost: error.code });
    this.#isTransactionLost = at.isInTransaction && sentOf(at) !== 'commit';
    if (!at.isBusy) {
      // The client waits for nothing: it hears of it with its next request.
      this.#owedError = error;
      return;
    }
    this.#skipsToSync = talk.isGroupOpen;
    this.#say(failedRequests(error, talk.readiesOwed, this.#isTransactionLost ? STATUS_FAILED : STATUS_IDLE));
  }

  // ---- ending

  #fail(work: Work, error: ErrorFields): void {
    this.#say(failedRequests(error, work.isWhole ? 1 : 0, this.#isTransactionLost ? STATUS_FAILED : STATUS_IDLE));
    this.#skipsToSync = !work.isWhole;
    this.#host.batch.flush();
  }

  #say(bytes: Buffer): void {
    if (!this.#closed) this.#host.batch.add(this.socket, bytes);
  }

  #refuse(code: string, message: string): void {
    this.#end(fatal(code, message));
  }

  #end(last: Buffer): void {
    this.#host.batch.add(this.socket, last);
    this.#host.batch.flush();
    this.socket.setTimeout(LAST_WORDS_MS, () => this.socket.destroy());
    this.socket.end();
    this.close();
  }

  /** Stops what it does or waits for. */
  cancel(): void {
    const waiting = this.#waiting;
    const server = this.#server;
    if (server !== null && waiting === null) {
      if (!server.talk.isBetweenRequests) this.#host.cancel(server);
      return;
    }
    if (waiting === null || server !== null) return;
    this.#waiting = null;
    this.#host.pool.leave(waiting.waiter);
    this.#fail(waiting.work, { severity: 'ERROR', code: '57014', message: 'canceling statement due to user request' });
    this.#goOn();
  }

  /** Says why before it closes; for the end of the router. */
  endWith(code: string, message: string): void {
    if (!this.#closed) this.#end(fatal(code, message));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) this.#host.pool.leave(waiting.waiter);
    const server = this.#server;
    this.#server = null;
    if (server !== null) this.#leave(server);
    if (!this.socket.writableEnded) this.socket.destroy();
    this.#host.ended(this);
  }

  /** A connection is given back clean, or not at all. */
  #leave(server: ServerConnection): void {
    server.detach();
    if (!server.isOpen) return;
    if (!server.talk.isBetweenRequests || this.#copy.isInside(server)) {
      this.#host.cancel(server);
      server.close();
      return;
    }
    const steps: string[] = [];
    if (server.talk.status !== STATUS.idle) steps.push('ROLLBACK');
    const mayHaveState = this.#pooling === 'session' || this.#pins.size > 0 || this.settings.hasPending;
    if (mayHaveState) server.settings = null;
    if (server.settings === null) steps.push(DISCARD_ALL);
    cleanUp(server, steps, (error) => {
      if (error === null) this.#host.pool.release(server);
      else server.close();
    });
  }
}
