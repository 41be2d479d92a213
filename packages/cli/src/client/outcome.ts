import type { RequestState } from '@understudy/agent/client';
import { type Context, note, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { formatInstant } from '../output/text.ts';

/**
 * Shows how a request ended. A refusal or failure has been thrown by the client already.
 *
 * @throws CliError `REQUEST_FAILED`, `REFUSED`, `STILL_PENDING`
 */
export function reportOutcome(context: Context, state: RequestState, waitMs: number): ExitCode {
  if (state.state === 'ended') {
    const { result, reason } = state.outcome;
    if (result !== 'done') {
      const code = result === 'refused' ? 'REFUSED' : 'REQUEST_FAILED';
      throw new CliError(code, reason, { next: 'See: understudy explain' });
    }
    if (context.format === 'json') printJson(context, state);
    else print(context, [`${context.style.green('done')}  ${reason}`]);
    return EXIT.done;
  }
  const { request } = state;
  if (context.format === 'json') printJson(context, state);
  if (request.notBeforeWallMs !== null) {
    const when = formatInstant(request.notBeforeWallMs);
    if (context.format === 'text')
      print(context, [`Scheduled: ${request.text}, not before ${when} (request ${request.id}).`]);
    note(context, 'Cancel it with: understudy switchover --cancel');
    return EXIT.done;
  }
  if (waitMs > 0) {
    const text = `${request.text} is still under way after ${waitMs / 1000} s (request ${request.id}).`;
    throw new CliError('STILL_PENDING', text, {
      next: 'Take it back with: understudy request cancel',
      retry: 'unknown',
    });
  }
  if (context.format === 'text') print(context, [`Asked for: ${request.text} (request ${request.id}).`]);
  return EXIT.done;
}
