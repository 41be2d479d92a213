import {
  apiErrorSchema,
  keptViewSchema,
  type RequestState,
  requestStateSchema,
  type StatusView,
  statusViewSchema,
} from '@understudy/agent/client';
import { reasonOf } from '@understudy/base';
import type { z } from 'zod';
import { LocalError } from './errors.ts';
import { callHttps } from './https.ts';

/** A small client of one agent's HTTP API. */
export class AgentApi {
  readonly url: string;
  readonly #token: string;
  readonly #ca: string | null;

  /** @param ca text of the authority that signed an https server's certificate */
  constructor(url: string, token: string, ca: string | null = null) {
    this.url = url;
    this.#token = token;
    this.#ca = ca;
  }

  /** How this agent sees the whole cluster. @throws LocalError `API_FAILED` */
  async status(timeoutMs = 1000): Promise<StatusView> {
    return this.#call('GET', '/understudy/status', undefined, timeoutMs, statusViewSchema);
  }

  /**
   * A planned change of leader; answers when it has ended.
   *
   * @param body.to the wanted leader; without it, the fittest
   */
  async switchover(body: { readonly to?: string; readonly waitMs: number }): Promise<RequestState> {
    return this.#call('POST', '/switchover', body, body.waitMs + 2000, requestStateSchema);
  }

  /** Changes settings of the cluster. */
  async patchConfig(patch: Readonly<Record<string, unknown>>, timeoutMs = 5000): Promise<void> {
    await this.#request('PATCH', '/config', patch, timeoutMs);
  }

  /** Lets go of everything that this member keeps of replaced data. @returns how many folders that were */
  async removeKept(timeoutMs = 60_000): Promise<number> {
    const { folders } = await this.#call('GET', '/understudy/kept', undefined, timeoutMs, keptViewSchema);
    for (const { name } of folders) await this.#request('DELETE', `/understudy/kept/${name}`, undefined, timeoutMs);
    return folders.length;
  }

  async #call<T>(method: string, path: string, body: unknown, timeoutMs: number, schema: z.ZodType<T>): Promise<T> {
    const answer = await this.#request(method, path, body, timeoutMs);
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw new LocalError(
      'API_FAILED',
      `${this.url}${path} answered something unexpected: ${issue?.path.join('.')} ${issue?.message}.`,
      { retry: 'unknown' },
    );
  }

  async #request(method: string, path: string, body: unknown, timeoutMs: number): Promise<unknown> {
    const { status, text } = await this.#send(method, path, body, timeoutMs);
    const answer = parseJson(text);
    if (status >= 200 && status < 300) return answer;
    const error = apiErrorSchema.safeParse(answer);
    const said = error.success ? `${error.data.message} ${error.data.next}` : text.slice(0, 300);
    throw new LocalError('API_FAILED', `${method} ${this.url}${path} was refused (${status}): ${said}`);
  }

  async #send(
    method: string,
    path: string,
    body: unknown,
    timeoutMs: number,
  ): Promise<{ readonly status: number; readonly text: string }> {
    const url = `${this.url}${path}`;
    const headers = {
      authorization: `Bearer ${this.#token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    try {
      if (this.#ca !== null) return await callHttps({ method, url, headers, ...sent, timeoutMs }, { ca: this.#ca });
      const response = await fetch(url, { method, headers, ...sent, signal: AbortSignal.timeout(timeoutMs) });
      return { status: response.status, text: await response.text().catch(() => '') };
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
      const text = `${method} ${this.url}${path}: ${reasonOf(error)}${cause}`;
      throw new LocalError('API_FAILED', text, { retry: method === 'GET' ? 'safe' : 'unknown', cause: error });
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
