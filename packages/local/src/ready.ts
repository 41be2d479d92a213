import { join } from 'node:path';
import type { MemberView, StatusView } from '@understudy/agent/client';
import { monotonicMs, pollUntil } from '@understudy/base';
import { isFedBy } from '@understudy/core';
import { LocalError } from './errors.ts';
import { tailOf } from './files.ts';
import type { LocalNode } from './node.ts';
import type { StartPhase, StartProgress } from './options.ts';

/** The newest view that any of the agents has; null while none answers. */
export async function statusOf(nodes: readonly LocalNode[], timeoutMs = 1000): Promise<StatusView | null> {
  const answers = await Promise.all(nodes.map((node) => node.api.status(timeoutMs).catch(() => null)));
  const heard = answers.filter((answer) => answer !== null);
  const rank = (view: StatusView): number => (view.store.kind === 'current' ? 1_000_000 : 0) + (view.epoch ?? 0);
  return heard.toSorted((a, b) => rank(b) - rank(a))[0] ?? null;
}

export type Readiness =
  | { readonly kind: 'ready'; readonly leader: string }
  | { readonly kind: 'not-ready'; readonly phase: StartPhase; readonly why: string };

/** Whether a cluster is whole: an open leader, every other member streaming from it or from a replica of it, and acknowledgements counted as configured. */
export function readinessOf(status: StatusView | null, members: number): Readiness {
  if (status === null) return { kind: 'not-ready', phase: 'agents', why: 'no agent answers yet' };
  const { leader } = status;
  if (status.phase !== 'open' || leader === null) {
    return {
      kind: 'not-ready',
      phase: 'bootstrap',
      why: status.phase === 'promoting' ? `${leader} is opening` : 'no leader yet',
    };
  }
  const leading = status.members.find((member) => member.id === leader);
  if (leading?.state !== 'primary')
    return { kind: 'not-ready', phase: 'bootstrap', why: `${leader} is ${leading?.state ?? 'unknown'}` };
  const others = status.members.filter((member) => member.id !== leader);
  const missing = others.filter((member) => !isStreaming(member, others, leader));
  if (missing.length > 0) {
    return {
      kind: 'not-ready',
      phase: 'replicas',
      why: missing.map((member) => `${member.id}: ${waitText(member)}`).join('; '),
    };
  }
  if (status.members.length < members)
    return { kind: 'not-ready', phase: 'replicas', why: 'not all members have registered' };
  if (status.durability === 'sync' && members > 1 && ((status.rule?.required ?? 0) === 0 || status.moving !== null)) {
    return { kind: 'not-ready', phase: 'replicas', why: 'acknowledgements are not counted yet' };
  }
  return { kind: 'ready', leader };
}

/**
 * The open leader of a cluster that is not whole, and can be used all the same: a replica streams from it and acknowledges, or it waits
 * for none. Null when there is none.
 */
export function usableLeader(status: StatusView | null): string | null {
  if (status === null || status.phase !== 'open' || status.leader === null) return null;
  const { leader, members, rule } = status;
  if (members.find(({ id }) => id === leader)?.state !== 'primary') return null;
  const streaming = members.filter((member) => member.id !== leader && isStreaming(member, members, leader));
  if (streaming.length === 0) return null;
  const acknowledging = streaming.filter(({ id }) => rule?.members.includes(id) === true).length;
  return status.durability === 'async' || acknowledging >= (rule?.required ?? 1) ? leader : null;
}

/** Whether a member gets a stream that begins at the leader, by way of however many others. */
function isStreaming(member: MemberView, all: readonly MemberView[], leader: string): boolean {
  return isFedBy(leader, member.id, (id) => {
    const found = all.find((each) => each.id === id);
    return found?.state === 'replica' && found.receiver?.kind === 'streaming' ? found.upstream : null;
  });
}

/** What a member is doing or waiting for, in words. */
export function waitText(member: MemberView): string {
  const { job } = member;
  if (job !== null) {
    const share =
      job.doneBytes !== null && job.totalBytes !== null && job.totalBytes > 0
        ? ` ${Math.round((100 * job.doneBytes) / job.totalBytes)} %`
        : '';
    return `${job.kind}${share}`;
  }
  return member.reasons[0]?.text ?? member.state;
}

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: (progress: StartProgress) => void;
  /** Told what is missing when the time is over and the cluster can be used without it; left out: it must be whole. */
  readonly onShort?: ((why: string) => void) | undefined;
}

/**
 * Waits until the cluster is whole.
 *
 * @returns the leader's name.
 * @throws LocalError `START_TIMEOUT` saying what each node waited for; `AGENT_FAILED` when an agent keeps ending.
 */
export async function waitUntilReady(nodes: readonly LocalNode[], options: WaitOptions): Promise<string> {
  let last: { readonly status: StatusView | null; readonly readiness: Readiness } | null = null;
  const startedMs = monotonicMs();
  const leader = await pollUntil(
    async () => {
      const status = await statusOf(nodes);
      const readiness = readinessOf(status, nodes.length);
      last = { status, readiness };
      options.onProgress(progressOf(status, readiness, nodes.length));
      if (readiness.kind === 'ready') return readiness.leader;
      // An agent that ends at once has a reason that time will not cure, for example a wrong data directory.
      if (monotonicMs() - startedMs > 1500) await refuseDead(nodes);
      return null;
    },
    { everyMs: 60, timeoutMs: options.timeoutMs, signal: options.signal },
  );
  if (leader !== null) return leader;
  const usable = options.onShort === undefined ? null : usableLeader(await statusOf(nodes));
  if (usable !== null) {
    options.onShort?.(whyOf(last));
    return usable;
  }
  throw await timeout(nodes, last, options.timeoutMs);
}

async function refuseDead(nodes: readonly LocalNode[]): Promise<void> {
  const dead = nodes.filter((node) => node.lastEnd !== null && node.agents().length === 0);
  const [first] = dead;
  if (first === undefined || dead.length < nodes.length) return;
  const tail = await tailOf(first.paths.log, 8);
  throw new LocalError(
    'AGENT_FAILED',
    `No agent stays up (${first.name}: ${first.lastEnd}). The end of ${first.paths.log}:\n${tail}`,
  );
}

function whyOf(last: { readonly readiness: Readiness } | null): string {
  return last?.readiness.kind === 'not-ready' ? last.readiness.why : 'nothing was heard';
}

async function timeout(
  nodes: readonly LocalNode[],
  last: { readonly status: StatusView | null; readonly readiness: Readiness } | null,
  timeoutMs: number,
): Promise<LocalError> {
  const why = whyOf(last);
  const logs = nodes.map((node) => node.paths.log).join(', ');
  const lines = await Promise.all(nodes.map((node) => memberLines(node, last?.status ?? null)));
  return new LocalError(
    'START_TIMEOUT',
    `The cluster was not ready within ${Math.round(timeoutMs / 1000)} s: ${why}.\n${lines.flat().join('\n')}\nLogs: ${logs}`,
  );
}

/** What a member waits for, by its own agent if that answers, and what its server said last when it gave up. */
async function memberLines(node: LocalNode, status: StatusView | null): Promise<readonly string[]> {
  const own = await node.api.status(1000).catch(() => status);
  const member = own?.members.find(({ id }) => id === node.name);
  const fatal = await lastFatal(node.paths.runDir);
  const said = member === undefined ? 'its agent does not answer' : waitText(member);
  return [`  ${node.name}: ${said}`, ...(fatal === null ? [] : [`  ${node.name}'s server: ${fatal}`])];
}

/** The names of the servers' logs in the run folder. */
const serverLogs = ['postgres.log', 'server.log'] as const;

/** The last line with which a server gave up; null when there is none. */
export async function lastFatal(runDir: string): Promise<string | null> {
  for (const name of serverLogs) {
    const lines = (await tailOf(join(runDir, name), 200)).split('\n');
    const found = lines.findLast((line) => /\b(FATAL|PANIC):|\[ERROR\]/.test(line));
    if (found !== undefined) return found.trim().slice(0, 500);
  }
  return null;
}

function progressOf(status: StatusView | null, readiness: Readiness, count: number): StartProgress {
  const nodes = (status?.members ?? []).map((member) => ({
    name: member.id,
    state: member.state,
    text: waitText(member),
  }));
  if (readiness.kind === 'ready') return { phase: 'ready', text: `${readiness.leader} leads`, fraction: 1, nodes };
  const members = status?.members ?? [];
  const streaming = members.filter((member) => isStreaming(member, members, status?.leader ?? '')).length;
  const fraction = readiness.phase === 'replicas' && count > 1 ? streaming / (count - 1) : null;
  return { phase: readiness.phase, text: readiness.why, fraction, nodes };
}
