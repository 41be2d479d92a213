import { codeOf, reasonOf } from '@understudy/base';
/** What operators change through the API. Everything goes into the store by compare-and-swap; the outcome is read from there. */

import { randomUUID } from 'node:crypto';
import {
  type ClusterConfig,
  memberId,
  type OperatorRequest,
  type RequestOutcome,
  type Versioned,
} from '@understudy/core';
import { StoreError, type Write } from '@understudy/store';
import type { z } from 'zod';
import type { Agent } from '../agent/agent.ts';
import { surplus } from '../agent/registration.ts';
import { encodeStoreValue } from '../codec/store-values.ts';
import { unkeepable } from '../config/acks.ts';
import { parseClusterConfig, patchClusterConfig } from '../config/cluster-config.ts';
import { ConfigError } from '../config/problems.ts';
import { problem } from './errors.ts';
import type { failoverBodySchema, memberBodySchema, switchoverBodySchema } from './requests.ts';
import { requestView } from './status.ts';
import type { OutcomeView, RequestState } from './views.ts';

const STORE_DEADLINE_MS = 2_000;
/** How long past the request's own deadline its outcome is waited for. */
const OUTCOME_GRACE_MS = 5_000;
/** A member may take 30 s to begin, and a restarted server 60 s to be back. */
const MEMBER_WORK_MS = 95_000;
/** Requests that come here in quick succession meet a moving store; more attempts than this mean a fight with somebody else. */
const MAX_ATTEMPTS = 5;

export function switchoverRequest(agent: Agent, body: z.output<typeof switchoverBodySchema>): OperatorRequest {
  const from = body.from ?? body.leader ?? null;
  const to = body.to ?? body.candidate ?? null;
  return {
    kind: 'switchover',
    id: randomUUID(),
    askedWallMs: Date.now(),
    from: from === null ? null : memberId(from),
    to: to === null ? null : memberId(to),
    notBeforeWallMs: body.scheduled_at == null ? null : Date.parse(body.scheduled_at),
    timeoutMs: body.timeoutMs ?? agent.clusterConfig.switchoverTimeoutMs,
  };
}

export function failoverRequest(agent: Agent, body: z.output<typeof failoverBodySchema>): OperatorRequest {
  const to = body.to ?? body.candidate ?? null;
  if (to === null) {
    throw problem(
      400,
      'BODY_INVALID',
      'A failover needs the member that is to lead ("to").',
      'Name one; GET /understudy/status lists them.',
    );
  }
  const timeoutMs = body.timeoutMs ?? agent.clusterConfig.switchoverTimeoutMs;
  return {
    kind: 'failover',
    id: randomUUID(),
    askedWallMs: Date.now(),
    to: memberId(to),
    proof: body.proof,
    timeoutMs,
  };
}

export function memberRequest(
  agent: Agent,
  kind: 'reinit' | 'restart',
  body: z.output<typeof memberBodySchema>,
): OperatorRequest {
  const common = { id: randomUUID(), askedWallMs: Date.now(), member: memberId(body.member ?? agent.self) };
  const timed = body.timeoutMs === undefined ? common : { ...common, timeoutMs: body.timeoutMs };
  if (kind === 'reinit') return { kind, ...timed };
  return { kind, ...timed, ...(body.force === true ? { force: 'yes' } : {}) };
}

/** Whether the names in a request can be right at all; what else there is to say against it, the leader says. */
function checkNames(agent: Agent, request: OperatorRequest): void {
  const content = agent.link.decoded?.content;
  if (content === undefined || content.record === null) {
    throw problem(412, 'NO_LEADER', 'This cluster has no leader yet.', 'Wait until GET /understudy/status shows one.');
  }
  const names =
    request.kind === 'switchover'
      ? [request.from, request.to]
      : [request.kind === 'failover' ? request.to : request.member];
  for (const name of names) {
    if (name === null || content.members.has(name)) continue;
    const known = [...content.members.keys()].sort().join(', ');
    throw problem(412, 'NO_SUCH_MEMBER', `"${name}" is not a member of this cluster.`, `Members are: ${known}.`);
  }
}

/** How long the outcome of a request can take. */
export function longestMs(request: OperatorRequest): number {
  const { kind, timeoutMs } = request;
  if (kind === 'reinit' || kind === 'restart') return MEMBER_WORK_MS + (timeoutMs ?? 0);
  return timeoutMs + OUTCOME_GRACE_MS;
}

/**
 * Puts a request into the store, if none is pending. An override takes the place of whatever is: it is what an operator does when
 * nothing else has worked.
 * @throws HttpProblem
 */
export async function submit(agent: Agent, request: OperatorRequest): Promise<void> {
  checkNames(agent, request);
  const pending = agent.link.decoded?.content.request ?? null;
  const replaces = request.kind === 'failover' && request.proof === 'override';
  if (pending !== null && !replaces) throw alreadyPending(pending.value);
  const put: Write = { kind: 'put', key: 'request', value: encodeStoreValue(request) };
  const [compare, ended] =
    pending === null
      ? [{ kind: 'absent', key: 'request' } as const, []]
      : withdrawal(pending, `${requestView(request).text} took its place.`);
  const result = await reachStore(() =>
    agent.link.transact([compare], [put, ...ended, ...surplus(agent.link)], STORE_DEADLINE_MS),
  );
  if (result.kind === 'committed') return;
  const other = agent.link.decoded?.content.request?.value;
  if (other !== undefined) throw alreadyPending(other);
  throw problem(
    409,
    'OVERTAKEN',
    'Another request was there for a moment.',
    'Look at GET /understudy/status, then ask again.',
  );
}

function alreadyPending(request: OperatorRequest) {
  const { text, id } = requestView(request);
  return problem(
    409,
    'REQUEST_PENDING',
    `Another request is under way: ${text} (${id}).`,
    `Wait for it, or take it back: understudy request cancel (DELETE /understudy/requests/${id}).`,
  );
}

/** What must still be so, and what is written, when a pending request ends because somebody took it back. */
function withdrawal({ value, revision }: Versioned<OperatorRequest>, reason: string) {
  const { id, kind } = value;
  const outcome: RequestOutcome = { id, kind, result: 'refused', reason, wallMs: Date.now() };
  const compare = { kind: 'unchanged', key: 'request', modRevision: revision } as const;
  const write: Write = { kind: 'put', key: `outcomes/${id}`, value: encodeStoreValue(outcome) };
  return [compare, [write], outcome] as const;
}

/**
 * Takes back a pending request. What has begun of it goes on without it: a server that is stopping stops, and the next leader is chosen
 * as after a crash.
 * @throws HttpProblem
 */
export async function cancelRequest(agent: Agent, id: string): Promise<OutcomeView> {
  const pending = agent.link.decoded?.content.request ?? null;
  if (pending === null || pending.value.id !== id) {
    throw problem(404, 'NOT_PENDING', `Request ${id} is not pending.`, `See GET /understudy/requests/${id}.`);
  }
  const [compare, ended, outcome] = withdrawal(pending, 'An operator took it back.');
  const writes: Write[] = [{ kind: 'delete', key: 'request' }, ...ended];
  const result = await reachStore(() => agent.link.transact([compare], writes, STORE_DEADLINE_MS));
  if (result.kind === 'committed') return outcomeView(outcome);
  throw problem(409, 'OVERTAKEN', 'The request has changed or ended meanwhile.', `See GET /understudy/requests/${id}.`);
}

/** Carries out a store call; what goes wrong there is said in the words of the API. */
export async function reachStore<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const next =
      error.retry === 'unknown'
        ? 'It may have been done: look at GET /understudy/status before asking again.'
        : 'Nothing was changed. Make the store reachable, then ask again.';
    throw problem(503, `STORE_${error.code.toUpperCase().replaceAll('-', '_')}`, error.message, next);
  }
}

/** The state of a request: pending, or how it ended. Null when nobody knows it (any more). */
export function requestState(agent: Agent, id: string): RequestState | null {
  const decoded = agent.link.decoded;
  const outcome = decoded?.outcomes.get(id);
  if (outcome !== undefined) return { state: 'ended', outcome: outcomeView(outcome) };
  const pending = decoded?.content.request?.value;
  return pending?.id === id ? { state: 'pending', request: requestView(pending) } : null;
}

const outcomeView = (outcome: RequestOutcome): OutcomeView => ({ ...outcome });

/** Waits until a request has ended, at most `limitMs`; then its state. */
export async function awaitOutcome(agent: Agent, id: string, limitMs: number): Promise<RequestState | null> {
  const isOver = (): boolean => requestState(agent, id)?.state !== 'pending';
  if (!isOver() && limitMs > 0) {
    await new Promise<void>((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        stop();
        resolve();
      };
      const timer = setTimeout(finish, limitMs);
      const stop = agent.onChange(() => {
        if (isOver()) finish();
      });
    });
  }
  return requestState(agent, id);
}

/** Takes back a switchover that is scheduled and has not begun. @throws HttpProblem */
export async function cancelSwitchover(agent: Agent): Promise<OutcomeView> {
  const pending = agent.link.decoded?.content.request ?? null;
  if (pending?.value.kind !== 'switchover' || pending.value.notBeforeWallMs === null) {
    throw problem(404, 'NOTHING_SCHEDULED', 'No switchover is scheduled.', 'GET /understudy/status shows what is.');
  }
  return cancelRequest(agent, pending.value.id);
}

/** Names the configuration that is in force, for `If-Match`: whoever sends it back changes nothing that they have not seen. */
export function configTag(agent: Agent): string {
  const present = agent.link.decoded?.content.config ?? null;
  return present === null ? '"default"' : `"${present.revision}"`;
}

/**
 * Changes the cluster's configuration: `patch` some settings, or `replace` all (those left out take their defaults).
 *
 * @param ifMatch a tag of `configTag`: the change is made only on exactly that configuration; null: on whatever is in force
 * @throws HttpProblem
 */
export async function changeConfig(
  agent: Agent,
  how: 'patch' | 'replace',
  body: unknown,
  ifMatch: string | null,
): Promise<ClusterConfig> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    if (ifMatch !== null && ifMatch !== '*' && ifMatch !== configTag(agent)) {
      throw problem(
        412,
        'CONFIG_CHANGED',
        'Somebody else has changed the configuration since you read it; nothing was changed now.',
        'Read it again, then repeat your change.',
      );
    }
    const present = agent.link.decoded?.content.config ?? null;
    const wanted = checkedConfig(how, agent.clusterConfig, body);
    refuseUnkeepable(agent, wanted);
    await refuseParameters(agent, wanted);
    const compare =
      present === null
        ? ({ kind: 'absent', key: 'config' } as const)
        : ({ kind: 'unchanged', key: 'config', modRevision: present.revision } as const);
    const put: Write = { kind: 'put', key: 'config', value: encodeStoreValue(wanted) };
    const result = await reachStore(() => agent.link.transact([compare], [put], STORE_DEADLINE_MS));
    if (result.kind === 'committed') return wanted;
  }
  throw problem(409, 'OVERTAKEN', 'Others change the configuration at the same time.', 'Ask again.');
}

/** An engine may not be able to do all that another one can. */
function refuseUnkeepable({ engine }: Agent, config: ClusterConfig): void {
  const wrong = unkeepable(engine, config);
  if (wrong.length === 0) return;
  throw problem(422, 'CONFIG_INVALID', `${wrong.join('; ')}.`, 'Correct the named settings; nothing was changed.');
}

/**
 * A parameter with which a server would not start must not get into the store: every server would meet it at its next start. Only what is
 * new is looked at, so that something wrong from before does not stand in the way of its own repair.
 */
async function refuseParameters(agent: Agent, { parameters }: ClusterConfig): Promise<void> {
  const before = agent.clusterConfig.parameters;
  const changed = Object.fromEntries(Object.entries(parameters).filter(([name, value]) => before[name] !== value));
  if (Object.keys(changed).length === 0) return;
  const found = await agent.engine.checkParameters(changed).catch((error: unknown) => {
    throw problem(
      503,
      codeOf(error) ?? 'INTERNAL',
      reasonOf(error),
      'Nothing was changed. Ask again, or ask another agent.',
    );
  });
  if (found.length === 0) return;
  const text = found.map(({ name, problem: wrong }) => `The parameter ${name} ${wrong}`).join('\n');
  const next = 'Nothing was changed. To take a parameter of your own away, write parameters.NAME=default.';
  throw problem(412, 'PARAMETERS_REFUSED', text, next);
}

function checkedConfig(how: 'patch' | 'replace', current: ClusterConfig, body: unknown): ClusterConfig {
  try {
    return how === 'patch'
      ? patchClusterConfig(current, body, 'request body')
      : parseClusterConfig(body, 'request body');
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const wrong = problem(422, error.code, error.message, 'Correct the named settings; nothing was changed.');
    const problems = error.problems.map(({ key, message, fix }) => ({ key, message, fix }));
    throw Object.assign(wrong, { body: { ...wrong.body, problems } });
  }
}

/** Pauses the cluster (nobody is elected, nothing is repaired) or lets it go on. */
export async function setPaused(agent: Agent, paused: boolean, by: string): Promise<void> {
  const write: Write = paused
    ? { kind: 'put', key: 'paused', value: encodeStoreValue({ by, wallMs: Date.now() }) }
    : { kind: 'delete', key: 'paused' };
  await reachStore(() => agent.link.transact([], [write], STORE_DEADLINE_MS));
}

/** Forgets a member that has gone for good. @throws HttpProblem while it is alive or leads */
export async function forgetMember(agent: Agent, name: string): Promise<void> {
  const content = agent.link.decoded?.content;
  const id = memberId(name);
  if (content === undefined || !content.members.has(id)) {
    throw problem(
      404,
      'NO_SUCH_MEMBER',
      `"${name}" is not a member of this cluster.`,
      'GET /understudy/status lists them.',
    );
  }
  if (content.record?.value.leader === id) {
    throw problem(412, 'MEMBER_LEADS', `${name} is the leader.`, 'Switch over to another member first.');
  }
  if (content.sessions.has(id)) {
    throw problem(412, 'MEMBER_ALIVE', `${name}'s agent is alive.`, 'Stop it first, and wait for its session to end.');
  }
  const result = await reachStore(() =>
    agent.link.transact(
      [{ kind: 'absent', key: `sessions/${id}` }],
      // Not its seal: an election may be counting on it, and it stays true.
      [{ kind: 'delete', key: `members/${id}` }],
      STORE_DEADLINE_MS,
    ),
  );
  if (result.kind !== 'committed') throw problem(412, 'MEMBER_ALIVE', `${name}'s agent came back.`, 'Stop it first.');
}
