import type { MemberView } from '@understudy/agent/client';
import type { Style } from '../output/style.ts';
import { formatBytes, formatDuration } from '../output/text.ts';

/** How well a member is: `good` serves, `warn` is on its way, `bad` does not. */
export type Health = 'good' | 'warn' | 'bad';

export function healthOf(member: MemberView): Health {
  const { agent, state } = member;
  if (agent.kind === 'silent' || agent.kind === 'refusing' || agent.kind === 'unregistered') return 'bad';
  if (state === 'primary') return member.role === 'leader' ? 'good' : 'bad';
  if (state === 'replica') return member.receiver?.kind === 'streaming' ? 'good' : 'warn';
  return state === 'starting' || member.job !== null ? 'warn' : 'bad';
}

/** One word for what its server does, and two where its agent is not heard. */
export function stateText(member: MemberView): string {
  const { agent, state, job } = member;
  if (agent.kind === 'silent') return 'silent';
  if (agent.kind === 'refusing') return 'down';
  if (job !== null && state !== 'primary') return jobText(job);
  if (state === 'replica') return member.receiver?.kind === 'streaming' ? 'streaming' : 'not streaming';
  return state;
}

/** `clone 34 %`, `start`. */
export function jobText(job: NonNullable<MemberView['job']>): string {
  const { doneBytes, totalBytes } = job;
  if (doneBytes === null) return job.kind;
  if (totalBytes === null || totalBytes === 0) return `${job.kind} ${formatBytes(doneBytes)}`;
  return `${job.kind} ${Math.min(100, Math.floor((100 * doneBytes) / totalBytes))} %`;
}

/** `0 B`, `1.5 MiB / 320 ms`, `≥ 2 s`. */
export function lagText(member: MemberView): string {
  if (member.state !== 'replica') return '–';
  const bytes = member.replayLagBytes ?? member.receiveLagBytes;
  const parts = [
    ...(bytes === null ? [] : [formatBytes(bytes)]),
    ...(member.replayLagMs === null ? [] : [`${member.lagIsAtLeast ? '≥ ' : ''}${formatDuration(member.replayLagMs)}`]),
  ];
  return parts.length === 0 ? '?' : parts.join(' / ');
}

/** What it does or waits for, in the words of its own decision; what is known from outside when it does not answer. */
export function waitText(member: MemberView): string {
  const { agent } = member;
  switch (agent.kind) {
    case 'refusing':
      return `Its agent's address has refused connections for ${formatDuration(agent.forMs)}.`;
    case 'silent':
      return agent.silentMs === null
        ? 'Its agent was never heard.'
        : `Its agent has not been heard for ${formatDuration(agent.silentMs)}.`;
    case 'unregistered':
      return 'Not known to the answering agent yet.';
    default:
      return member.reasons[0]?.text ?? '';
  }
}

export function addressText(member: MemberView): string {
  return member.host === null || member.port === null ? '–' : `${member.host}:${member.port}`;
}

export function painter(style: Style, health: Health): (text: string) => string {
  return { good: style.green, warn: style.yellow, bad: style.red }[health];
}

/** Which members need a restart, and for which parameters: `n1 (max_connections)`. */
export function pendingRestarts(
  members: readonly { readonly id: string; readonly pendingRestart: readonly string[] }[],
): readonly string[] {
  return members
    .filter(({ pendingRestart }) => pendingRestart.length > 0)
    .map(({ id, pendingRestart }) => `${id} (${pendingRestart.join(', ')})`);
}

/** Whether a cluster is whole, and what is missing. */
export function problemsOf(status: {
  readonly phase: string;
  readonly leader: string | null;
  readonly members: readonly MemberView[];
  readonly store: { readonly kind: string; readonly refusedWrite?: string | null | undefined };
}): readonly string[] {
  const problems: string[] = [];
  if (status.phase !== 'open' || status.leader === null) problems.push('there is no open leader');
  for (const member of status.members) {
    if (healthOf(member) !== 'good') problems.push(`${member.id} is ${stateText(member)}`);
  }
  if (status.store.kind !== 'current') problems.push('the store does not answer');
  else if ((status.store.refusedWrite ?? null) !== null) problems.push('the store takes no writes');
  return problems;
}
