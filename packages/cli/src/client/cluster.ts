import {
  apiErrorSchema,
  type ChangesView,
  changesViewSchema,
  type ExplainView,
  explainViewSchema,
  type HistoryView,
  historyViewSchema,
  type KeptView,
  keptViewSchema,
  type RequestState,
  type RestoreView,
  requestStateSchema,
  restoreViewSchema,
  type SecretsView,
  type StatusView,
  secretsViewSchema,
  statusViewSchema,
  type TokenStep,
} from '@understudy/agent/client';
import { z } from 'zod';
import { CliError } from '../errors.ts';
import { mayCarryToken } from './carry.ts';
import { exchange, type HttpAnswer, type HttpCall } from './http.ts';
import type { Target } from './target.ts';

/** The status of a cluster, and the agent that gave it. */
export interface Sighting {
  readonly status: StatusView;
  readonly url: string;
}

/** What the members answer, and who does not. */
export interface Answers<T> {
  readonly views: readonly T[];
  readonly silent: readonly string[];
}

export interface SeenConfig {
  readonly config: Readonly<Record<string, unknown>>;
  /** What the agent wants to hear again so that a change cannot overwrite somebody else's; null when it named nothing. */
  readonly version: string | null;
}

const askTimeoutMs = 3000;
/** Parameters are tried with the server's own program first, and a large folder takes a while to measure. */
const slowAnswerMs = 60_000;
/** A large folder is removed file by file. */
const removeTimeoutMs = 600_000;
/** What an answer that was waited for may take longer than the wait itself. */
const answerSlackMs = 5000;
/** An agent that says who should be asked instead. */
const SENDS_ON = /not the open primary|its agent has to restore|knows of no leadership/;
const settings = z.record(z.string(), z.unknown());

/** A cluster, through the HTTP API of whichever of its agents answers. */
export class ClusterClient {
  readonly target: Target;
  readonly #signal: AbortSignal | undefined;
  #lastUrl: string | null = null;
  /** Sent with questions once an agent has asked for it. */
  #lookingToken: string | null = null;

  constructor(target: Target, signal?: AbortSignal) {
    if (target.urls.length === 0) {
      const next = 'It has commands of its own: understudy pair --help';
      throw new CliError('USAGE', `${target.source} holds a circular pair, which has no agents.`, { next });
    }
    this.target = target;
    this.#signal = signal;
  }

  /**
   * Asks all known agents and takes the best answer: one that sees the store before one that does not, then the newest epoch.
   *
   * @throws CliError `UNREACHABLE` when none answers.
   */
  async look(timeoutMs = askTimeoutMs): Promise<Sighting> {
    const results = await Promise.allSettled(this.target.urls.map((url) => this.#statusFrom(url, timeoutMs)));
    const seen = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const best = seen.toSorted((a, b) => rank(b.status) - rank(a.status))[0];
    this.#lastUrl = best?.url ?? null;
    if (best !== undefined) return best;
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    throw this.#nobody(failures);
  }

  /**
   * As `look`, for those who look again and again: asks only the agent that answered last, as long as it sees the store and an open
   * leader.
   */
  async lookAgain(timeoutMs = askTimeoutMs): Promise<Sighting> {
    const url = this.#lastUrl;
    if (url === null) return this.look(timeoutMs);
    const sighting = await this.#statusFrom(url, timeoutMs).catch(() => null);
    const isGood = sighting?.status.store.kind === 'current' && sighting.status.phase === 'open';
    return sighting !== null && isGood ? sighting : this.look(timeoutMs);
  }

  async history(): Promise<HistoryView> {
    const { url } = await this.look();
    return this.#ask(url, '/understudy/history', historyViewSchema);
  }

  /** The latest decision of the agent at `url`. */
  async explain(url: string): Promise<ExplainView> {
    return this.#ask(url, '/understudy/explain', explainViewSchema);
  }

  async config(): Promise<SeenConfig> {
    const { url } = await this.look();
    const answer = await this.#exchange({ method: 'GET', url: `${url}/config`, timeoutMs: askTimeoutMs });
    return { config: parse(answer, settings, `${url}/config`), version: answer.headers.etag ?? null };
  }

  /**
   * Changes settings of the cluster.
   *
   * @param version from `config`: the change is refused when somebody else has changed something since. Null: without that check.
   * @throws CliError `CONFIG_CHANGED`, `REFUSED`
   */
  async patchConfig(patch: Readonly<Record<string, unknown>>, version: string | null): Promise<void> {
    const { url } = await this.look();
    await this.#change({
      method: 'PATCH',
      url: `${url}/config`,
      body: patch,
      timeoutMs: slowAnswerMs,
      ...(version === null ? {} : { headers: { 'if-match': version } }),
    });
  }

  /**
   * Sends a request that changes the cluster and waits for its end.
   *
   * @param waitMs how long to wait for the end
   */
  async request(path: string, body: Readonly<Record<string, unknown>>, waitMs: number): Promise<RequestState> {
    const { url } = await this.look();
    const call = {
      method: 'POST',
      url: `${url}${path}`,
      body: { ...body, waitMs },
      timeoutMs: waitMs + answerSlackMs,
    } as const;
    const answer = await this.#change(call);
    return parse(answer, requestStateSchema, call.url);
  }

  /** How a request stands. */
  async requestState(id: string): Promise<RequestState> {
    const { url } = await this.look();
    return this.#ask(url, `/understudy/requests/${encodeURIComponent(id)}`, requestStateSchema);
  }

  /** A change without a request of its own. */
  async post(method: 'POST' | 'DELETE', path: string): Promise<void> {
    const { url } = await this.look();
    await this.#change({ method, url: `${url}${path}`, timeoutMs: askTimeoutMs + answerSlackMs });
  }

  /** What the members keep of replaced data, as far as their agents answer; and who does not. */
  kept(): Promise<Answers<KeptView>> {
    return this.#askAll('/understudy/kept', keptViewSchema);
  }

  /** What was changed through each agent that answers. */
  changes(): Promise<Answers<ChangesView>> {
    return this.#askAll('/understudy/changes', changesViewSchema);
  }

  /** Which secrets the member whose agent is at `url` has of its own. */
  secrets(url: string): Promise<SecretsView> {
    return this.#ask(url, '/understudy/secrets', secretsViewSchema);
  }

  /** Lets the agent at `url` begin to change one of its member's own secrets. */
  async rotate(url: string, what: 'replication'): Promise<SecretsView> {
    const call = { method: 'POST', url: `${url}/understudy/secrets/rotate`, body: { what } } as const;
    return parse(await this.#change({ ...call, timeoutMs: askTimeoutMs }), secretsViewSchema, call.url);
  }

  /** Lets the agent at `url` take one step of the change of a token. */
  async stepToken(url: string, body: TokenStep): Promise<SecretsView> {
    const call = { method: 'POST', url: `${url}/understudy/secrets/token`, body } as const;
    return parse(await this.#change({ ...call, timeoutMs: askTimeoutMs }), secretsViewSchema, call.url);
  }

  async #askAll<T extends object>(path: string, schema: z.ZodType<T>): Promise<Answers<T>> {
    const { status } = await this.look();
    const asked = await Promise.all(
      status.members.map(async ({ id, apiUrl }) => {
        if (apiUrl === null) return id;
        return this.#ask(apiUrl, path, schema, slowAnswerMs).catch(() => id);
      }),
    );
    const views = asked.filter((answer) => typeof answer !== 'string');
    return { views, silent: asked.filter((answer) => typeof answer === 'string') };
  }

  /**
   * Removes something that a member keeps. Only its own agent can, and it must be among those that the operator named: the call carries the token.
   *
   * @returns what that member still keeps.
   * @throws CliError `USAGE` when it is not among them, `REFUSED` when there is no such thing.
   */
  async removeKept(member: string, name: string): Promise<KeptView> {
    for (const url of this.target.urls) {
      const view = await this.#ask(url, '/understudy/kept', keptViewSchema, slowAnswerMs).catch(() => null);
      if (view?.member !== member) continue;
      const call = { method: 'DELETE', url: `${url}/understudy/kept/${encodeURIComponent(name)}` } as const;
      return parse(await this.#change({ ...call, timeoutMs: removeTimeoutMs }), keptViewSchema, call.url);
    }
    const next = `Name it: --api URL of ${member}'s agent.`;
    throw new CliError('USAGE', `None of the agents that were named is that of ${member}, or it does not answer.`, {
      next,
    });
  }

  /**
   * Lets one agent write the decisions back into the store: the first of `urls` that may. Which one that is the agents know.
   *
   * @throws CliError of the agent whose refusal says most.
   */
  async restore(
    body: Readonly<Record<string, unknown>>,
    urls: readonly string[] = this.target.urls,
  ): Promise<{ readonly url: string; readonly view: RestoreView }> {
    let refused: unknown = null;
    for (const url of urls) {
      const call = {
        method: 'POST',
        url: `${url}/understudy/store/restore`,
        body,
        timeoutMs: askTimeoutMs + answerSlackMs,
      } as const;
      try {
        return { url, view: parse(await this.#change(call), restoreViewSchema, call.url) };
      } catch (error) {
        // What the one that may do it says tells more than that another one is not it, or does not answer.
        const telling = error instanceof CliError && error.code === 'REFUSED' && !SENDS_ON.test(error.problem);
        refused = telling || refused === null ? error : refused;
      }
    }
    throw refused ?? this.#nobody([]);
  }

  async #statusFrom(url: string, timeoutMs: number): Promise<Sighting> {
    const address = `${url}/understudy/status`;
    const answer = await this.#exchange({ method: 'GET', url: address, timeoutMs });
    return { status: parse(answer, statusViewSchema, address), url };
  }

  async #ask<T>(url: string, path: string, schema: z.ZodType<T>, timeoutMs = askTimeoutMs): Promise<T> {
    const answer = await this.#exchange({ method: 'GET', url: `${url}${path}`, timeoutMs });
    return parse(answer, schema, `${url}${path}`);
  }

  async #change(call: HttpCall): Promise<HttpAnswer> {
    const token = await this.target.token();
    if (token !== null && !mayCarryToken(call.url, this.target)) throw plainAddress(call.url);
    return this.#exchange(call, token);
  }

  /** The token goes with changes, and with questions only to agents that want it: looking works without the right to read it. */
  async #exchange(call: HttpCall, token: string | null = this.#lookingToken): Promise<HttpAnswer> {
    const isSent = token !== null && mayCarryToken(call.url, this.target);
    const headers = isSent ? { ...call.headers, authorization: `Bearer ${token}` } : call.headers;
    const { tls } = this.target;
    const answer = await exchange({
      ...call,
      ...(headers === undefined ? {} : { headers }),
      tls,
      signal: this.#signal,
    });
    if (answer.status >= 200 && answer.status < 300) return answer;
    if (answer.status === 401 && token === null) {
      this.#lookingToken = await this.target.token();
      if (this.#lookingToken !== null && !mayCarryToken(call.url, this.target)) throw plainAddress(call.url);
      if (this.#lookingToken !== null) return this.#exchange(call);
    }
    throw refusal(call, answer);
  }

  #nobody(failures: readonly unknown[]): CliError {
    const typed = failures.filter((failure) => failure instanceof CliError);
    const telling = typed.find((failure) => failure.code !== 'UNREACHABLE') ?? typed[0];
    if (telling === undefined) {
      return new CliError('INTERNAL', `${this.target.source} names no agent.`, { next: 'Name one with --api URL.' });
    }
    if (telling.code !== 'UNREACHABLE' || this.target.folder === null) return telling;
    const next = `Start it with "understudy up" (its data is kept), or look into ${this.target.folder}/logs.`;
    return new CliError('UNREACHABLE', `The cluster in ${this.target.folder} does not run: no agent answers.`, {
      next,
      retry: 'safe',
      cause: telling,
    });
  }
}

function plainAddress(url: string): CliError {
  const { origin } = new URL(url);
  const next = 'Use https with --ca FILE. With --insecure it is sent all the same, and a listener on the way gets it.';
  return new CliError('USAGE', `The token is not sent to ${origin}, which is not encrypted.`, { next });
}

function rank(status: StatusView): number {
  const store = { current: 2, stale: 1, never: 0 }[status.store.kind];
  return store * Number.MAX_SAFE_INTEGER * 0.25 + (status.epoch ?? 0);
}

function parse<T>(answer: HttpAnswer, schema: z.ZodType<T>, where: string): T {
  const parsed = schema.safeParse(parseJson(answer.text));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const what = issue === undefined ? '' : ` (${issue.path.join('.') || 'whole answer'}: ${issue.message})`;
  const next = 'Check that the address is an agent\'s, and that both are of the same version ("understudy version").';
  throw new CliError('ANSWER_INVALID', `${where} answered something unexpected${what}.`, { next });
}

function parseJson(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What an answer other than success means: not let in, refused by a rule, overtaken, not there, or broken. */
function refusal(call: HttpCall, answer: HttpAnswer): CliError {
  const { status } = answer;
  const said = apiErrorSchema.safeParse(parseJson(answer.text));
  const message = said.success ? said.data.message : `${call.url} answered ${status}: ${answer.text.slice(0, 200)}`;
  const next = said.success ? said.data.next : '';
  const problems = said.success ? (said.data.problems ?? []) : [];
  const list = problems.map((problem) => `${problem.key}: ${problem.message}. ${problem.fix}`);
  const text = list.length === 0 ? message : list.join('\n');
  if (!said.success) return new CliError('ANSWER_INVALID', text, { next: "Check that the address is an agent's." });
  const { code } = said.data;
  if (code === 'CONFIG_CHANGED' || code === 'REQUEST_FAILED') return new CliError(code, text, { next });
  // The agent answers, the store does not: nothing can be decided, as if nobody had answered.
  if (status === 503 && code.startsWith('STORE_')) return new CliError('UNREACHABLE', text, { next, retry: 'unknown' });
  if (code === 'TOKEN_MISSING' || code === 'TOKEN_WRONG') {
    return new CliError('REFUSED', text, {
      next: 'Name the file with the token by --token-file FILE (it is api.tokenFile of the node).',
    });
  }
  return new CliError(status === 400 || status === 422 ? 'USAGE' : 'REFUSED', text, { next });
}
