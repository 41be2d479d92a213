import { reasonOf } from '@understudy/base';
/** Asks another member's agent for a copy of its server's files, and believes that it is whole only when it is told so. */

import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Transform, type TransformCallback } from 'node:stream';
import type { MemberId } from '@understudy/core';
import { EngineError, type OpenCopy } from '@understudy/engine';
import { apiErrorSchema } from '../api/views.ts';
import { COPY_PATH, COPY_TRAILER, parseVerdict, refusalOf } from '../codec/copy-verdict.ts';
import { introduction, type MemberSecret, mayIntroduce } from './introduction.ts';
import type { PeerTls } from './stream.ts';

/** The other side first looks whether its server can be copied at all. */
const ANSWER_TIMEOUT_MS = 30_000;
const MAX_REFUSAL_CHARS = 64 * 1024;
const AHEAD_BYTES = 1024 * 1024;

export interface CopyOptions {
  readonly tls: PeerTls | null;
  readonly self: MemberId;
  /** By which this agent shows that it is a member. */
  readonly secret: MemberSecret;
  /** `required`: neither a copy nor what shows membership goes over plain HTTP, but within this host. */
  readonly encryption: 'required' | 'as-it-is';
}

export function copyOpener(options: CopyOptions): OpenCopy {
  return async (from, request, signal) => {
    const url = new URL(COPY_PATH, from.apiUrl);
    if (!mayIntroduce(url, options.encryption === 'as-it-is')) {
      throw refusalOf('', `Links are encrypted here, and the agent's API at ${from.apiUrl} is not.`);
    }
    const headers = introduction(options.secret, 'copy', options.self, from.id);
    const response = await ask(url, JSON.stringify(request), headers, options.tls, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      throw refusalOf('', `The agent of ${from.id} at ${from.apiUrl} does not answer (${reasonOf(error)}).`);
    });
    if (response.statusCode !== 200) throw await refusal(response, from.id);
    return new WholeCopy(response, from.id);
  };
}

function ask(
  url: URL,
  body: string,
  headers: Readonly<Record<string, string>>,
  tls: PeerTls | null,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const options: RequestOptions = {
    method: 'POST',
    agent: false,
    signal,
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      te: 'trailers',
      ...headers,
    },
  };
  return new Promise((resolve, reject) => {
    const request =
      url.protocol === 'https:'
        ? httpsRequest(url, { ...options, ...(tls === null ? {} : { ca: tls.ca, cert: tls.cert, key: tls.key }) })
        : httpRequest(url, options);
    const late = `no answer within ${ANSWER_TIMEOUT_MS / 1000} s`;
    const timeout = setTimeout(() => request.destroy(new Error(late)), ANSWER_TIMEOUT_MS);
    request.on('response', (response) => {
      clearTimeout(timeout);
      resolve(response);
    });
    request.on('error', (error) => {
      clearTimeout(timeout);
      reject(error);
    });
    request.end(body);
  });
}

async function refusal(response: IncomingMessage, from: string): Promise<EngineError> {
  let text = '';
  response.setEncoding('utf8');
  try {
    for await (const part of response) {
      text += String(part);
      if (text.length > MAX_REFUSAL_CHARS) break;
    }
    const parsed = apiErrorSchema.safeParse(JSON.parse(text));
    if (parsed.success) return refusalOf(parsed.data.code, parsed.data.message);
  } catch {
    // What it said is not an answer of an agent: its status has to do.
  }
  return refusalOf('', `The agent of ${from} answered with status ${response.statusCode}.`);
}

/** The body of the answer; it ends only behind the word that it is whole. */
class WholeCopy extends Transform {
  readonly #response: IncomingMessage;
  readonly #from: string;

  constructor(response: IncomingMessage, from: string) {
    super({ highWaterMark: AHEAD_BYTES });
    this.#response = response;
    this.#from = from;
    response.on('error', (error) => this.#cut(reasonOf(error)));
    response.on('close', () => {
      if (!response.complete) this.#cut('the connection was closed');
    });
    this.on('close', () => response.destroy());
    response.pipe(this);
  }

  #cut(why: string): void {
    const text = `The copy from ${this.#from} was cut off (${why}).`;
    this.destroy(new EngineError('ENGINE_CLONE_FAILED', text));
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    done(null, chunk);
  }

  override _flush(done: TransformCallback): void {
    done(parseVerdict(this.#response.trailers[COPY_TRAILER], this.#from));
  }
}
