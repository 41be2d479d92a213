import { Backoff, codeOf } from '@understudy/base';
/** One peer's stream as this agent hears it: connects, reads, notices silence and refusal, and connects again. */

import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { LiveState, MemberId, PeerView } from '@understudy/core';
import { applyBeat, type PeerReport, parseStreamMessage, type StreamMessage } from './report.ts';
import { SseParser } from './sse.ts';

/** Certificates for https peers. */
export interface PeerTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface PeerStreamOptions {
  readonly member: MemberId;
  readonly apiUrl: string;
  readonly tls: PeerTls | null;
  /** What shows the peer that a member asks. */
  readonly headers: Readonly<Record<string, string>>;
  /** Running time of this process. */
  readonly runningMs: () => number;
  /** How long a peer may be silent and still be taken at its word. */
  readonly freshMs: () => number;
  /** The peer said something that is not only a beat, or its connection changed. */
  readonly onChange: () => void;
  /** Every message, for lag samples. */
  readonly onMessage: (message: StreamMessage, report: PeerReport) => void;
}

const CONNECT_TIMEOUT_MS = 750;
/** An open stream that says nothing for this long is given up: behind a healed partition a new connection is faster. */
const IDLE_MS = 1_500;
/** An agent that has decided nothing for this long, whatever it says, says nothing of its server. All that it waits for has shorter deadlines. */
const WEDGED_MS = 8_000;
/** Fewer refusals than this, or over a shorter time, may be a restart of the agent. */
const REFUSALS = 2;
const REFUSED_FOR_MS = 100;

export class PeerStream {
  readonly #options: PeerStreamOptions;
  readonly #backoff = new Backoff(50, 500);
  #report: PeerReport | null = null;
  /** When the process behind this connection, or the one before it, was heard last. */
  #heardMs: number;
  /** When the last bytes came, of whatever kind. */
  #bytesMs: number;
  #connected = false;
  /** Whether the process behind this connection has reported: the report of the one before it says nothing of now. */
  #spoken = false;
  #refusals: { readonly sinceMs: number; count: number } | null = null;
  #request: ClientRequest | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  #stuckMs = 0;
  #turnedAway: number | null = null;

  constructor(options: PeerStreamOptions) {
    this.#options = options;
    this.#heardMs = options.runningMs();
    this.#bytesMs = this.#heardMs;
    this.#connect();
  }

  get report(): PeerReport | null {
    return this.#report;
  }

  /** The status with which the peer has refused its stream; null: it has not. */
  get turnedAway(): number | null {
    return this.#turnedAway;
  }

  get apiUrl(): string {
    return this.#options.apiUrl;
  }

  /** This peer, as a decision sees it. */
  view(): PeerView {
    const now = this.#options.runningMs();
    const last: LiveState | null = this.#report?.live ?? null;
    if (this.#refusals !== null && this.#refusals.count >= REFUSALS) {
      const forMs = now - this.#refusals.sinceMs;
      if (forMs >= REFUSED_FOR_MS) return { kind: 'refusing', last, forMs };
    }
    const wedgedMs = this.#stuckMs > WEDGED_MS ? this.#stuckMs : 0;
    const silentMs = Math.max(0, now - this.#heardMs) + wedgedMs;
    if (this.#spoken && last !== null && wedgedMs === 0 && silentMs <= this.#options.freshMs()) {
      return { kind: 'fresh', live: last, silentMs };
    }
    return { kind: 'silent', last, silentMs };
  }

  /** To be called once a tick: gives up a stream that is open but says nothing. */
  tick(): void {
    if (this.#connected && this.#options.runningMs() - this.#bytesMs > IDLE_MS) this.#request?.destroy();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#request?.destroy();
  }

  #connect(): void {
    this.#timer = null;
    const { apiUrl, tls, headers } = this.#options;
    const url = new URL('/events', apiUrl);
    const common = { agent: false, headers: { ...headers, accept: 'text/event-stream' } } as const;
    const request =
      url.protocol === 'https:'
        ? httpsRequest(url, { ...common, ...(tls === null ? {} : { ca: tls.ca, cert: tls.cert, key: tls.key }) })
        : httpRequest(url, common);
    this.#request = request;
    const timeout = setTimeout(() => request.destroy(new Error('no answer in time')), CONNECT_TIMEOUT_MS);
    request.setNoDelay(true);
    request.on('response', (response) => {
      clearTimeout(timeout);
      this.#read(response);
    });
    request.on('error', (error) => this.#note(error));
    request.on('close', () => {
      clearTimeout(timeout);
      this.#ended();
    });
    request.end();
  }

  #read(response: IncomingMessage): void {
    if (response.statusCode !== 200) {
      // It runs, but says nothing of its server: whoever has no room for us must not seem to be heard.
      this.#refusals = null;
      this.#turnedAway = response.statusCode ?? null;
      response.destroy();
      return;
    }
    this.#turnedAway = null;
    this.#connected = true;
    this.#arrived();
    const parser = new SseParser((event, data) => this.#event(event, data));
    response.setEncoding('utf8');
    response.on('data', (text: string) => {
      this.#arrived();
      try {
        parser.push(text);
      } catch {
        // A peer that talks nonsense is worth no more than a silent one; a new connection may help.
        response.destroy();
      }
    });
    response.on('error', () => response.destroy());
  }

  /** Bytes came from the peer: its process lives. That says something of its server once it has reported: then large reports come in pieces. */
  #arrived(): void {
    this.#bytesMs = this.#options.runningMs();
    if (this.#spoken) this.#heardMs = this.#bytesMs;
    this.#refusals = null;
  }

  #event(event: string, data: string): void {
    const message = parseStreamMessage(event, data);
    if (message === null) return;
    this.#backoff.reset();
    this.#stuckMs = message.kind === 'beat' ? (message.beat.stuckMs ?? 0) : 0;
    if (message.kind === 'report') {
      if (message.report.live.member !== this.#options.member) {
        throw new Error(`answers for ${message.report.live.member}`);
      }
      this.#report = message.report;
      this.#spoken = true;
      this.#arrived();
    } else if (this.#spoken && this.#report !== null) {
      const { live, extra } = this.#report;
      const { replayLagMs = extra.replayLagMs } = message.beat;
      this.#report = { live: applyBeat(live, message.beat), extra: { ...extra, replayLagMs } };
    }
    if (!this.#spoken || this.#report === null) return;
    this.#options.onMessage(message, this.#report);
    if (message.kind === 'report') this.#options.onChange();
  }

  #note(error: Error): void {
    const now = this.#options.runningMs();
    if (codeOf(error) === 'ECONNREFUSED') {
      this.#refusals ??= { sinceMs: now, count: 0 };
      this.#refusals.count++;
    } else {
      // Neither refused nor answered: the host may be gone, which only silence can tell.
      this.#refusals = null;
    }
  }

  #ended(): void {
    const wasConnected = this.#connected;
    this.#connected = false;
    this.#spoken = false;
    if (this.#closed) return;
    // The first attempt after a loss is made at once: a process that was killed refuses within a millisecond.
    const pauseMs = wasConnected ? 0 : this.#backoff.nextMs();
    this.#timer = setTimeout(() => this.#connect(), pauseMs);
    if (wasConnected || this.#refusals !== null) this.#options.onChange();
  }
}
