import type { MemberView } from '@understudy/agent/client';
import { monotonicMs, pause } from '@understudy/base';
import { ClusterClient } from '../client/cluster.ts';
import type { Target } from '../client/target.ts';
import { type Context, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { healthOf, jobText } from '../render/member.ts';
import { startProgress } from './up-progress.ts';

const lookEveryMs = 300;
/** A report from before the copy may be on its way for this long. */
const firstLookMs = 2000;

/**
 * Waits until a member that is being copied anew streams again, and shows how far it is. Ctrl-C ends the waiting, not the copy.
 *
 * @throws CliError `REQUEST_FAILED` when the copy failed, `STILL_PENDING` after `waitMs`
 */
export async function awaitCopy(
  context: Context,
  target: Target,
  member: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<ExitCode> {
  const client = new ClusterClient(target, signal);
  const progress = startProgress(context);
  const beganMs = monotonicMs();
  let last: MemberView | null = null;
  let seen: 'nothing' | 'work' = 'nothing';
  let copying: 'unseen' | 'seen' = 'unseen';
  try {
    while (monotonicMs() - beganMs < waitMs && !signal.aborted) {
      const status = await client.lookAgain().then(
        (sighting) => sighting.status,
        () => null,
      );
      last = status?.members.find(({ id }) => id === member) ?? last;
      if (last !== null && (last.job !== null || healthOf(last) !== 'good')) seen = 'work';
      if (last !== null && last.job !== null) copying = 'seen';
      if (last !== null) progress.show(stepOf(member, last));
      const failure = last?.reasons.find(({ code }) => code === 'copy-failed');
      // A failure from before this copy may still be on its way.
      const isOfThis = copying === 'seen' || monotonicMs() - beganMs > firstLookMs;
      if (failure !== undefined && isOfThis)
        throw new CliError('REQUEST_FAILED', `${member}: ${failure.text}`, {
          next: `See: understudy explain ${member}`,
        });
      const isOver = seen === 'work' || monotonicMs() - beganMs > firstLookMs;
      if (isOver && last !== null && last.job === null && last.role !== 'leader' && healthOf(last) === 'good') {
        progress.end();
        if (context.format === 'json')
          printJson(context, { state: 'ended', member, tookMs: Math.round(monotonicMs() - beganMs) });
        else print(context, [`${context.style.green('done')}  ${member} has a new copy and streams again.`]);
        return EXIT.done;
      }
      await pause(lookEveryMs, signal);
    }
  } finally {
    progress.end();
  }
  const what =
    last === null ? 'nothing was heard of it' : `it is ${last.job === null ? last.state : jobText(last.job)}`;
  const code = signal.aborted ? 'INTERRUPTED' : 'STILL_PENDING';
  const why = signal.aborted ? 'Interrupted' : `${member} was not back within ${waitMs / 1000} s`;
  throw new CliError(code, `${why}: ${what}. The copy goes on by itself.`, {
    next: 'How far it is: understudy status --watch',
    retry: 'unknown',
  });
}

function stepOf(member: string, { job }: MemberView) {
  const { doneBytes, totalBytes } = job ?? { doneBytes: null, totalBytes: null };
  const fraction = doneBytes === null || totalBytes === null || totalBytes === 0 ? null : doneBytes / totalBytes;
  const text = job === null ? `${member} is coming back` : `${member}: ${job.kind}`;
  return { phase: 'replicas', text, fraction, nodes: [] } as const;
}
