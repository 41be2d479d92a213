/** The table of paths: what they are called, what they take, who may call them. The OpenAPI document is made from it. */

import type { OperatorRequest } from '@understudy/core';
import type { z } from 'zod';
import type { Need } from '../access/caller.ts';
import type { Agent } from '../agent/agent.ts';
import {
  awaitOutcome,
  cancelRequest,
  cancelSwitchover,
  changeConfig,
  configTag,
  failoverRequest,
  forgetMember,
  longestMs,
  memberRequest,
  requestState,
  setPaused,
  submit,
  switchoverRequest,
} from './changes.ts';
import { problem } from './errors.ts';
import { keptView, removeKept } from './kept.ts';
import { clusterStatus, failsafeMembers, nodeStatus, timelineHistory } from './patroni.ts';
import { changesView } from './recorded.ts';
import { reloadConfig } from './reload.ts';
import {
  detachBodySchema,
  failoverBodySchema,
  memberBodySchema,
  restoreBodySchema,
  rotateBodySchema,
  switchoverBodySchema,
  tokenStepSchema,
} from './requests.ts';
import { restoreStore } from './restore.ts';
import { changeToken, rotateReplication, secretsView } from './secrets.ts';
import { explainView, historyView, statusView } from './status.ts';
import {
  changesViewSchema,
  explainViewSchema,
  historyViewSchema,
  keptViewSchema,
  type RequestState,
  reloadViewSchema,
  requestStateSchema,
  restoreViewSchema,
  secretsViewSchema,
  statusViewSchema,
} from './views.ts';

export interface Call {
  readonly agent: Agent;
  readonly body: unknown;
  readonly params: Readonly<Record<string, string>>;
  /** `If-Match` of the request: which version the caller has seen. */
  readonly ifMatch: string | null;
  readonly detach: () => void;
  /** The node's file; null: the agent was started without one. */
  readonly configFile: string | null;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly summary: string;
  /**
   * Whom it is for, by the body where that decides; default: who may view, or administer for what is no GET. `settings`: who may view, and
   * being on this machine is not enough for it.
   */
  readonly needs?: Need | 'settings' | ((body: unknown) => Need);
  readonly body?: z.ZodType;
  readonly answer?: z.ZodType;
  readonly handle: (call: Call) => Answer | Promise<Answer>;
}

const ok = (body: unknown): Answer => ({ status: 200, body });

function parsed<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body ?? {});
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join('.') || '(body)'}: ${issue.message}`);
  throw problem(
    400,
    'BODY_INVALID',
    `The request body is wrong: ${problems.join('; ')}.`,
    'Correct it; see GET /openapi.json.',
  );
}

/** Submits a request and, unless told otherwise, waits for its outcome. */
async function carryOut(agent: Agent, request: OperatorRequest, waitMs: number | undefined): Promise<Answer> {
  await submit(agent, request);
  const isScheduled =
    request.kind === 'switchover' && request.notBeforeWallMs !== null && request.notBeforeWallMs > Date.now();
  const state = await awaitOutcome(agent, request.id, waitMs ?? (isScheduled ? 0 : longestMs(request)));
  return answerOf(state, request.id);
}

function answerOf(state: RequestState | null, id: string): Answer {
  if (state === null) {
    throw problem(404, 'NO_SUCH_REQUEST', `Nothing is known of request ${id}.`, 'Only the latest outcomes are kept.');
  }
  if (state.state === 'pending') return { status: 202, body: state };
  const { result, reason } = state.outcome;
  if (result === 'done') return ok(state);
  const status = result === 'refused' ? 412 : 503;
  const next =
    result === 'refused'
      ? 'Nothing was changed. `understudy explain` says more.'
      : 'See GET /understudy/status for how things are now.';
  throw problem(status, result === 'refused' ? 'REQUEST_REFUSED' : 'REQUEST_FAILED', reason, next);
}

// Patroni pauses by a setting; here it is a state of its own.
function isPause(body: unknown): body is { readonly pause: unknown } {
  return typeof body === 'object' && body !== null && 'pause' in body && Object.keys(body).length === 1;
}

/** Without proof a failover may lose data. */
function isOverride(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'proof' in body && body.proof === 'override';
}

async function patchConfig({ agent, body, ifMatch }: Call): Promise<Answer> {
  if (isPause(body)) {
    await setPaused(agent, body.pause === true, 'PATCH /config');
    return ok({ pause: body.pause === true });
  }
  return ok(await changeConfig(agent, 'patch', body, ifMatch));
}

async function pauseOrResume({ agent }: Call, paused: boolean): Promise<Answer> {
  await setPaused(agent, paused, agent.self);
  return ok({ paused });
}

export const ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/patroni',
    summary: 'This node, as Patroni describes it.',
    handle: ({ agent }) => ok(nodeStatus(agent)),
  },
  {
    method: 'GET',
    path: '/cluster',
    summary: 'All members, as Patroni describes them.',
    handle: ({ agent }) => ok(clusterStatus(agent)),
  },
  { method: 'GET', path: '/history', summary: 'Ends of timelines.', handle: ({ agent }) => ok(timelineHistory(agent)) },
  {
    method: 'GET',
    path: '/failsafe',
    summary: 'Members and their addresses.',
    handle: ({ agent }) => ok(failsafeMembers(agent)),
  },
  {
    method: 'GET',
    path: '/config',
    summary: "The cluster's configuration; send its ETag back as If-Match to change nothing that you have not seen.",
    needs: 'settings',
    handle: ({ agent }) => ({ ...ok(agent.clusterConfig), headers: { etag: configTag(agent) } }),
  },
  {
    method: 'PATCH',
    path: '/config',
    summary: 'Change some settings; null puts one back to its default.',
    needs: (body) => (isPause(body) ? 'operate' : 'admin'),
    handle: patchConfig,
  },
  {
    method: 'PUT',
    path: '/config',
    summary: 'Replace all settings; those left out take their defaults.',
    handle: async ({ agent, body, ifMatch }) => ok(await changeConfig(agent, 'replace', body, ifMatch)),
  },
  {
    method: 'POST',
    path: '/switchover',
    summary: 'Planned change of leader.',
    needs: 'operate',
    body: switchoverBodySchema,
    answer: requestStateSchema,
    handle: ({ agent, body }) => {
      const input = parsed(switchoverBodySchema, body);
      return carryOut(agent, switchoverRequest(agent, input), input.waitMs);
    },
  },
  {
    method: 'DELETE',
    path: '/switchover',
    summary: 'Take back a scheduled switchover.',
    needs: 'operate',
    handle: async ({ agent }) => ok({ state: 'ended', outcome: await cancelSwitchover(agent) }),
  },
  {
    method: 'POST',
    path: '/failover',
    summary: 'Change of leader without the old one.',
    needs: (body) => (isOverride(body) ? 'admin' : 'operate'),
    body: failoverBodySchema,
    answer: requestStateSchema,
    handle: ({ agent, body }) => {
      const input = parsed(failoverBodySchema, body);
      return carryOut(agent, failoverRequest(agent, input), input.waitMs);
    },
  },
  {
    method: 'POST',
    path: '/reinitialize',
    summary: 'New copy for a member.',
    needs: 'operate',
    body: memberBodySchema,
    answer: requestStateSchema,
    handle: ({ agent, body }) => {
      const input = parsed(memberBodySchema, body);
      return carryOut(agent, memberRequest(agent, 'reinit', input), input.waitMs);
    },
  },
  {
    method: 'POST',
    path: '/restart',
    summary: "Restart of a member's server.",
    needs: 'operate',
    body: memberBodySchema,
    answer: requestStateSchema,
    handle: ({ agent, body }) => {
      const input = parsed(memberBodySchema, body);
      return carryOut(agent, memberRequest(agent, 'restart', input), input.waitMs);
    },
  },
  {
    method: 'POST',
    path: '/reload',
    summary:
      "Read the node's file again; settings in the store apply without it. 200: it says nothing new; 202: it does.",
    needs: 'operate',
    answer: reloadViewSchema,
    handle: async ({ agent, configFile }) => {
      const view = await reloadConfig(agent, configFile);
      return { status: view.reload === 'done' ? 202 : 200, body: view };
    },
  },
  {
    method: 'GET',
    path: '/understudy/status',
    summary: 'The whole cluster.',
    answer: statusViewSchema,
    handle: ({ agent }) => ok(statusView(agent)),
  },
  {
    method: 'GET',
    path: '/understudy/explain',
    summary: "This agent's latest decision.",
    answer: explainViewSchema,
    handle: ({ agent }) => ok(explainView(agent)),
  },
  {
    method: 'GET',
    path: '/understudy/history',
    summary: 'All leaderships.',
    answer: historyViewSchema,
    handle: ({ agent }) => ok(historyView(agent)),
  },
  {
    method: 'GET',
    path: '/understudy/changes',
    summary: 'What was changed through this agent: who, from where, when, what.',
    answer: changesViewSchema,
    needs: 'settings',
    handle: async ({ agent }) => ok(await changesView(agent)),
  },
  {
    method: 'GET',
    path: '/understudy/secrets',
    summary: 'Which secrets this member has of its own, without the secrets.',
    answer: secretsViewSchema,
    handle: ({ agent }) => ok(secretsView(agent)),
  },
  {
    method: 'POST',
    path: '/understudy/secrets/rotate',
    summary: "Change one of this member's own secrets; it goes on by itself.",
    body: rotateBodySchema,
    answer: secretsViewSchema,
    handle: async ({ agent, body }) => {
      parsed(rotateBodySchema, body);
      return { status: 202, body: await rotateReplication(agent) };
    },
  },
  {
    method: 'POST',
    path: '/understudy/secrets/token',
    summary: 'One step of the change of a token: accept a new one beside it, use that one, drop the old one.',
    body: tokenStepSchema,
    answer: secretsViewSchema,
    handle: async ({ agent, body }) => ok(await changeToken(agent, parsed(tokenStepSchema, body))),
  },
  {
    method: 'GET',
    path: '/understudy/kept',
    summary: 'What this member keeps of replaced data.',
    answer: keptViewSchema,
    handle: async ({ agent }) => ok(await keptView(agent)),
  },
  {
    method: 'DELETE',
    path: '/understudy/kept/:name',
    summary: 'Remove one of that for good.',
    answer: keptViewSchema,
    handle: async ({ agent, params }) => {
      await removeKept(agent, params.name ?? '');
      return ok(await keptView(agent));
    },
  },
  {
    method: 'GET',
    path: '/understudy/requests/:id',
    summary: 'A request: pending, or how it ended.',
    answer: requestStateSchema,
    handle: ({ agent, params }) => {
      const id = params.id ?? '';
      const state = requestState(agent, id);
      return state === null ? answerOf(null, id) : ok(state);
    },
  },
  {
    method: 'DELETE',
    path: '/understudy/requests/:id',
    summary: 'Take back a request that is pending.',
    needs: 'operate',
    answer: requestStateSchema,
    handle: async ({ agent, params }) => ok({ state: 'ended', outcome: await cancelRequest(agent, params.id ?? '') }),
  },
  {
    method: 'POST',
    path: '/understudy/pause',
    summary: 'Nobody is elected, nothing is repaired.',
    needs: 'operate',
    handle: (call) => pauseOrResume(call, true),
  },
  {
    method: 'POST',
    path: '/understudy/store/restore',
    summary: 'Write the newest known decisions back into a store that was emptied or put back.',
    body: restoreBodySchema,
    answer: restoreViewSchema,
    handle: async ({ agent, body }) => ok(await restoreStore(agent, parsed(restoreBodySchema, body))),
  },
  {
    method: 'POST',
    path: '/understudy/resume',
    summary: 'Go on.',
    needs: 'operate',
    handle: (call) => pauseOrResume(call, false),
  },
  {
    method: 'DELETE',
    path: '/understudy/members/:id',
    summary: 'Forget a member that has gone for good.',
    handle: async ({ agent, params }) => {
      await forgetMember(agent, params.id ?? '');
      return ok({ forgotten: params.id });
    },
  },
  {
    method: 'POST',
    path: '/understudy/detach',
    summary: 'End the agent and leave the server running.',
    body: detachBodySchema,
    handle: ({ body, detach }) => {
      parsed(detachBodySchema, body);
      detach();
      return { status: 202, body: { detach: 'begun' } };
    },
  },
];
