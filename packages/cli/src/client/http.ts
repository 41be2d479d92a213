import { readFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { codeOf, reasonOf } from '@understudy/base';
import { CliError } from '../errors.ts';

/** Certificates for https addresses: whom to believe, and who we are where the agents ask for it. */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Their contents. */
export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** For the whole exchange. */
  readonly timeoutMs: number;
  readonly tls?: TlsMaterial;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly text: string;
}

const answerBytesMax = 32 * 1024 * 1024;

/** @throws CliError `FILE_UNREADABLE` */
export async function readTls(files: TlsFiles): Promise<TlsMaterial> {
  const read = (file: string): Promise<string> =>
    readFile(file, 'utf8').catch((error: unknown) => {
      const text = `${file} cannot be read: ${reasonOf(error)}`;
      throw new CliError('FILE_UNREADABLE', text, { next: 'Correct the path or its permissions.', cause: error });
    });
  return {
    ...(files.ca === undefined ? {} : { ca: await read(files.ca) }),
    ...(files.cert === undefined ? {} : { cert: await read(files.cert) }),
    ...(files.key === undefined ? {} : { key: await read(files.key) }),
  };
}

/**
 * One exchange with an agent.
 *
 * @throws CliError `UNREACHABLE` (`retry` is `unknown` when the request may have arrived), `ANSWER_INVALID` when the answer is too
 *   long, `INTERRUPTED` after `signal`.
 */
export function exchange(call: HttpCall): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const body = call.body === undefined ? null : JSON.stringify(call.body);
    const deadline = AbortSignal.timeout(call.timeoutMs);
    const signal = call.signal === undefined ? deadline : AbortSignal.any([deadline, call.signal]);
    const options = {
      method: call.method,
      headers: {
        accept: 'application/json',
        ...call.headers,
        ...(body === null
          ? {}
          : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
      },
      // One question, one connection: nothing stays open that would keep the command from ending.
      agent: false,
      signal,
    } as const;
    const fail = (error: unknown): void => reject(failed(call, error, deadline.aborted));
    const answered = (response: IncomingMessage): void => {
      readAnswer(response).then(resolve, fail);
    };
    const request = call.url.startsWith('https:')
      ? httpsRequest(call.url, { ...options, ...call.tls }, answered)
      : httpRequest(call.url, options, answered);
    request.once('error', fail);
    request.end(body ?? undefined);
  });
}

async function readAnswer(response: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > answerBytesMax) {
      response.destroy();
      throw new CliError('ANSWER_INVALID', `The answer is longer than ${answerBytesMax} bytes.`, {
        next: 'Check the address.',
      });
    }
    chunks.push(part);
  }
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return { status: response.statusCode ?? 0, headers, text: Buffer.concat(chunks).toString('utf8') };
}

function failed(call: HttpCall, error: unknown, isTimeout: boolean): CliError {
  if (error instanceof CliError) return error;
  if (call.signal?.aborted === true) return new CliError('INTERRUPTED', 'Interrupted.');
  const why = isTimeout ? `no answer within ${call.timeoutMs} ms` : networkReason(error);
  const origin = new URL(call.url).origin;
  const mayHaveArrived = call.method !== 'GET' && codeOf(error) !== 'ECONNREFUSED';
  return new CliError('UNREACHABLE', `${origin} cannot be reached: ${why}.`, {
    next: nextFor(error),
    retry: mayHaveArrived ? 'unknown' : 'safe',
    cause: error,
  });
}

function networkReason(error: unknown): string {
  const code = codeOf(error);
  const known: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'connection refused',
    ECONNRESET: 'the connection was cut',
    ENOTFOUND: 'the name is unknown',
    EHOSTUNREACH: 'the host is unreachable',
    ETIMEDOUT: 'no answer',
    DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by nobody known here',
    SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is signed by nobody known here',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is signed by nobody known here',
    ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
    CERT_HAS_EXPIRED: 'its certificate has expired',
  };
  return (code === null ? undefined : known[code]) ?? reasonOf(error);
}

function nextFor(error: unknown): string {
  const code = codeOf(error) ?? '';
  return /CERT|SIGNATURE|TLS/.test(code)
    ? 'Name the authority that signed it with --ca FILE.'
    : 'Is the agent running there? See its log, or name another with --api URL.';
}
