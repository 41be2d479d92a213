import { carryOut } from '../client/carry-out.ts';
import { reportOutcome } from '../client/outcome.ts';
import type { Target } from '../client/target.ts';
import { type Context, note } from '../context.ts';
import type { ExitCode } from '../exit-codes.ts';

/** How long a member may take to begin with what it was asked for. */
export const beginMs = 35_000;

/** Restarts one member, and waits until it is back unless that is not wanted. */
export async function restartOne(
  context: Context,
  target: Target,
  member: string,
  options: { readonly wait: number; readonly force?: boolean | undefined },
): Promise<ExitCode> {
  note(context, `Restarting ${member} …`);
  const { wait: backMs, force } = options;
  const body = { member, ...(force === true ? { force } : {}), ...(backMs === 0 ? {} : { timeoutMs: backMs }) };
  const waitMs = backMs === 0 ? 0 : backMs + beginMs;
  const signal = context.interruption();
  return reportOutcome(context, await carryOut({ target, path: '/restart', body, waitMs, signal }), waitMs);
}
