import {
  apiErrorSchema,
  type RequestState,
  requestStateSchema,
  type StatusView,
  statusViewSchema,
} from '@understudy/agent/client';
import type { z } from 'zod';
import { LocalError, reasonOf } from './errors.ts';

/** A small client of one agent's HTTP API. */
export class AgentApi {
  readonly url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.#token = token;
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

  async #call<T>(method: string, path: string, body: unknown, timeoutMs: number, schema: z.ZodType<T>): Promise<T> {
    const answer = await this.#request(method, path, body, timeoutMs);
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw new LocalError(
      'API_FAILED',
      `${this.url}${path} answered something unexpected: ${issue?.path.join('.')} ${issue?.message}.`,
      'unknown',
    );
  }

  async #request(method: string, path: string, body: unknown, timeoutMs: number): Promise<unknown> {
    const response = await this.#fetch(method, path, body, timeoutMs);
    const text = await response.text().catch(() => '');
    const answer = parseJson(text);
    if (response.ok) return answer;
    const error = apiErrorSchema.safeParse(answer);
    const said = error.success ? `${error.data.message} ${error.data.next}` : text.slice(0, 300);
    throw new LocalError(
      'API_FAILED',
      `${method} ${this.url}${path} was refused (${response.status}): ${said}`,
      'unsafe',
    );
  }

  async #fetch(method: string, path: string, body: unknown, timeoutMs: number): Promise<Response> {
    try {
      return await fetch(`${this.url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
      const text = `${method} ${this.url}${path}: ${reasonOf(error)}${cause}`;
      throw new LocalError('API_FAILED', text, method === 'GET' ? 'safe' : 'unknown', { cause: error });
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
