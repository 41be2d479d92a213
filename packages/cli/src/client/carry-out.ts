import type { RequestState } from '@understudy/agent/client';
import { monotonicMs, pause } from '@understudy/base';
import { CliError } from '../errors.ts';
import { ClusterClient } from './cluster.ts';
import type { Target } from './target.ts';

const lookEveryMs = 150;

/** What is asked for, of whom, and how long its end is waited for; 0: not at all, and it goes on by itself. */
export interface Errand {
  readonly target: Target;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly waitMs: number;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
}

/**
 * Asks for something and stays with it until it has ended. A request that nobody waits for any more is taken back: it must not be carried
 * out when its operator has gone on to something else.
 *
 * @throws CliError `STILL_PENDING`, `INTERRUPTED`: it was taken back; whatever the cluster refuses
 */
export async function carryOut({ target, path, body, waitMs, signal }: Errand): Promise<RequestState> {
  const client = new ClusterClient(target, signal);
  const asked = await client.request(path, body, 0);
  if (asked.state === 'ended' || waitMs === 0) return asked;
  const { id, text } = asked.request;
  const endMs = monotonicMs() + waitMs;
  while (monotonicMs() < endMs && !signal.aborted) {
    // An agent that was away for a moment, or has not read the request yet, is asked again.
    const state = await client.requestState(id).catch(() => null);
    if (state?.state === 'ended') return state;
    await pause(lookEveryMs, signal);
  }
  return giveUp(target, id, signal.aborted ? 'Interrupted' : `${text} was not done within ${waitMs / 1000} s`, signal);
}

async function giveUp(target: Target, id: string, why: string, signal: AbortSignal): Promise<RequestState> {
  // Not with the signal that may just have been given.
  const client = new ClusterClient(target);
  const code = signal.aborted ? 'INTERRUPTED' : 'STILL_PENDING';
  try {
    await client.post('DELETE', `/understudy/requests/${id}`);
  } catch {
    const state = await client.requestState(id).catch(() => null);
    if (state?.state === 'ended') return state;
    const text = `${why}, and the request (${id}) could not be taken back.`;
    throw new CliError(code, text, { next: 'Take it back with: understudy request cancel', retry: 'unknown' });
  }
  const text = `${why}; the request was taken back. What had begun of it may still happen.`;
  throw new CliError(code, text, { next: 'See: understudy status', retry: 'unknown' });
}
