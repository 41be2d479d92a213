/** Follows a cluster through its agents: each says what its own server does, several times a second and at once on change. */

import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { applyBeat, type PeerReport, parseStreamMessage, SseParser, statusViewSchema } from '@understudy/agent/client';
import type { Follower } from './follower.ts';
import { type ClusterView, joinWords, type Place, type Word } from './view.ts';

export interface AgentsOptions {
  readonly urls: readonly string[];
  readonly ca: string | null;
  /** For agents that let nobody look without it. */
  readonly token: string | null;
  readonly onView: (view: ClusterView) => void;
}

const CONNECT_MS = 1_000;
/** An open stream that says nothing for this long is given up. */
const SILENT_MS = 1_500;
/** What an agent said last counts for so long after its stream ended: an agent that is started again is no failover. */
const REMEMBERED_MS = 5_000;
const RETRY_MS = 200;
const PLACES_MS = 5_000;
const ANSWER_MAX_CHARS = 8 * 1024 * 1024;

export function followAgents(options: AgentsOptions): Follower {
  return new AgentsFollower(options);
}

class AgentsFollower implements Follower {
  readonly #options: AgentsOptions;
  readonly #words = new Map<string, Word>();
  readonly #streams: AgentStream[];
  readonly #timer: NodeJS.Timeout;
  #places: readonly Place[] = [];
  #placesAtMs = Number.NEGATIVE_INFINITY;
  #asking = false;
  #stopped = false;

  constructor(options: AgentsOptions) {
    this.#options = options;
    this.#streams = options.urls.map((url) => new AgentStream(url, options, this));
    this.#timer = setInterval(() => this.look(), RETRY_MS);
    this.look();
  }

  look(): void {
    for (const stream of this.#streams) stream.tick();
    const isStale = performance.now() - this.#placesAtMs > PLACES_MS;
    const isUnknown = [...this.#words.keys()].some((name) => !this.#places.some((place) => place.name === name));
    if ((isStale || isUnknown || this.#places.length < this.#streams.length) && !this.#asking) this.#askPlaces();
  }

  said(word: Word): void {
    this.#words.set(word.member, word);
    this.#publish();
  }

  silent(member: string): void {
    if (!this.#words.delete(member)) return;
    this.#publish();
  }

  #publish(): void {
    if (!this.#stopped && this.#places.length > 0) this.#options.onView(joinWords(this.#places, this.#words));
  }

  /** Where the servers listen: of the first agent that answers. */
  #askPlaces(): void {
    this.#asking = true;
    this.#firstAnswer()
      .then((places) => {
        if (places === null) return;
        this.#places = places;
        this.#placesAtMs = performance.now();
        this.#publish();
      })
      .finally(() => {
        this.#asking = false;
      })
      .catch(() => undefined);
  }

  async #firstAnswer(): Promise<readonly Place[] | null> {
    for (const url of this.#options.urls) {
      const text = await getText(new URL('/understudy/status', url), this.#options);
      const places = text === null ? null : placesIn(text);
      if (places !== null && places.length > 0) return places;
    }
    return null;
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    for (const stream of this.#streams) stream.stop();
  }
}

function placesIn(text: string): readonly Place[] | null {
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch {
    return null;
  }
  const checked = statusViewSchema.safeParse(input);
  if (!checked.success) return null;
  return checked.data.members.flatMap(({ id, host, port }) =>
    host === null || port === null ? [] : [{ name: id, host, port }],
  );
}

interface Listener {
  said(word: Word): void;
  /** Nothing was heard of it for long. */
  silent(member: string): void;
}

/** One agent's stream. */
class AgentStream {
  readonly #url: string;
  readonly #options: AgentsOptions;
  readonly #follower: Listener;
  #request: ClientRequest | null = null;
  #report: PeerReport | null = null;
  #heardAtMs = performance.now();
  #retryAtMs = 0;
  #stopped = false;

  constructor(url: string, options: AgentsOptions, follower: Listener) {
    this.#url = url;
    this.#options = options;
    this.#follower = follower;
  }

  tick(): void {
    if (this.#stopped) return;
    const now = performance.now();
    const silentMs = now - this.#heardAtMs;
    if (this.#request !== null && silentMs > SILENT_MS) this.#request.destroy();
    if (this.#report !== null && silentMs > REMEMBERED_MS) {
      this.#follower.silent(this.#report.live.member);
      this.#report = null;
    }
    if (this.#request === null && now >= this.#retryAtMs) this.#connect();
  }

  #connect(): void {
    this.#heardAtMs = this.#report === null ? performance.now() : this.#heardAtMs;
    const request = open(new URL('/events', this.#url), this.#options, 'text/event-stream');
    this.#request = request;
    const deadline = setTimeout(() => request.destroy(), CONNECT_MS);
    request.on('response', (response) => {
      clearTimeout(deadline);
      this.#read(response);
    });
    request.on('error', () => undefined);
    request.on('close', () => {
      clearTimeout(deadline);
      this.#request = null;
      this.#retryAtMs = performance.now() + RETRY_MS * Math.random();
    });
    request.end();
  }

  #read(response: IncomingMessage): void {
    if (response.statusCode !== 200) {
      response.destroy();
      return;
    }
    const parser = new SseParser((event, data) => this.#event(event, data));
    response.setEncoding('utf8');
    response.on('data', (text: string) => {
      this.#heardAtMs = performance.now();
      try {
        parser.push(text);
      } catch {
        // An agent that talks nonsense is worth no more than a silent one.
        response.destroy();
      }
    });
    response.on('error', () => response.destroy());
  }

  #event(event: string, data: string): void {
    const message = parseStreamMessage(event, data);
    if (message === null) return;
    if (message.kind === 'report') this.#report = message.report;
    else if (this.#report !== null) {
      const { live, extra } = this.#report;
      const { replayLagMs = extra.replayLagMs } = message.beat;
      this.#report = { live: applyBeat(live, message.beat), extra: { ...extra, replayLagMs } };
    }
    if (this.#report !== null) this.#follower.said(wordOf(this.#report));
  }

  stop(): void {
    this.#stopped = true;
    this.#request?.destroy();
  }
}

function wordOf({ live, extra }: PeerReport): Word {
  const serves = extra.serves === 'nothing' ? 'none' : extra.serves;
  return { member: live.member, epoch: live.epoch ?? 0, serves, lagMs: extra.replayLagMs };
}

function open(url: URL, { ca, token }: AgentsOptions, accept: string): ClientRequest {
  const headers = { accept, ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
  const common = { agent: false, headers } as const;
  return url.protocol === 'https:'
    ? httpsRequest(url, { ...common, ...(ca === null ? {} : { ca }) })
    : httpRequest(url, common);
}

/** Null when there is no answer. */
function getText(url: URL, options: AgentsOptions): Promise<string | null> {
  return new Promise((done) => {
    const request = open(url, options, 'application/json');
    const deadline = setTimeout(() => request.destroy(), CONNECT_MS);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (more: string) => {
        text += more;
        if (text.length > ANSWER_MAX_CHARS) request.destroy();
      });
      response.on('end', () => done(response.statusCode === 200 ? text : null));
      response.on('error', () => done(null));
    });
    request.on('error', () => undefined);
    request.on('close', () => {
      clearTimeout(deadline);
      done(null);
    });
    request.end();
  });
}
