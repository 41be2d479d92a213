import { monotonicMs, reasonOf } from '@understudy/base';
import { gtidUnion } from '@understudy/core';
import { missingFrom } from '../decide/positions.ts';
import { type Both, otherSide, type SideName, sideNames } from '../decide/sides.ts';
import type { ServerView, SideView, Writers } from '../decide/state.ts';
import { PairError } from '../errors.ts';
import { closeServer, executedBy, openServer, waitForExecuted } from '../server/link.ts';
import { wrongNumbers } from '../server/numbers.ts';
import type { PairServer } from '../server/server.ts';
import type { Ledger } from './ledger.ts';

export interface ChangeContext {
  readonly servers: Both<PairServer>;
  readonly ledger: Ledger;
  readonly views: Both<SideView>;
  readonly signal: AbortSignal;
}

export interface SwitchResult {
  readonly active: SideName;
  /** How long no server took writes. */
  readonly pauseMs: number;
}

function refused(text: string, next?: string): PairError {
  return new PairError('PAIR_REFUSED', text, { next });
}

/** Both servers, answering and receiving from each other. @throws PairError `PAIR_REFUSED` naming what is not so. */
function requireWhole({ views, ledger }: ChangeContext): Both<ServerView> {
  if (ledger.memory.apart !== null) {
    throw refused(`${ledger.memory.apart.side} is set apart.`, 'Decide about it first: understudy pair repair apart');
  }
  const whole = (side: SideName): ServerView => {
    const { server } = views[side];
    if (server === null) throw refused(`${side} does not answer.`, 'See: understudy pair show');
    const { link } = server;
    if (link?.applierError != null) {
      throw refused(
        `Replication on ${side} is stopped by error ${link.applierError.number}.`,
        'See: understudy pair show',
      );
    }
    if (link === null || link.receiver !== 'running' || link.applier !== 'running') {
      throw refused(`${side} does not receive from ${otherSide(side)}.`, 'See: understudy pair show');
    }
    return server;
  };
  return { n1: whole('n1'), n2: whole('n2') };
}

/**
 * Moves the active role without loss: the active server is closed, the other one reaches the same set of transactions, is recorded, and
 * opened. Until it is recorded, every failure opens the old one again.
 *
 * @throws PairError `PAIR_REFUSED`, `PAIR_UNDONE`.
 */
export async function switchActive(context: ChangeContext, to: SideName, withinMs: number): Promise<SwitchResult> {
  const { servers, ledger, signal } = context;
  const from = otherSide(to);
  if (ledger.memory.active === to) throw refused(`${to} is the active one already.`);
  if (ledger.memory.writers === 'both') {
    throw refused('Both servers take writes, so there is nothing to switch.', 'First: understudy pair writers one');
  }
  requireWhole(context);
  const beganMs = monotonicMs();
  const left = (): number => Math.max(50, withinMs - (monotonicMs() - beganMs));
  try {
    await closeServer(servers[from], left());
    await meet(context, left(), signal);
  } catch (error) {
    await openServer(servers[from]).catch(() => undefined);
    const text = `The switch to ${to} did not succeed: ${reasonOf(error)} ${from} is still the active one.`;
    throw new PairError('PAIR_UNDONE', text, { cause: error });
  }
  await ledger.record({ active: to }, 'good', `${to} is the active one now, at the same position as ${from}.`);
  // If this fails, the supervisor's next look opens it.
  await openServer(servers[to]).catch(() => undefined);
  return { active: to, pauseMs: Math.round(monotonicMs() - beganMs) };
}

/** Waits until two servers of which none is written to have executed the same. */
export async function meet(
  { servers }: Pick<ChangeContext, 'servers'>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const goal = gtidUnion(await executedBy(servers.n1), await executedBy(servers.n2));
  for (const side of sideNames) {
    const result = await waitForExecuted(servers[side], goal, { timeoutMs, signal });
    if (result === 'reached') continue;
    const { transactions } = missingFrom(goal, await executedBy(servers[side]));
    const why = result === 'stopped' ? 'its replication is stopped by an error' : 'the deadline passed';
    throw new Error(`${side} lacks ${transactions} transactions and ${why}.`);
  }
}

/**
 * Lets one or both servers take writes.
 *
 * @throws PairError `PAIR_REFUSED`, `PAIR_UNDONE`.
 */
export async function changeWriters(context: ChangeContext, writers: Writers, withinMs: number): Promise<void> {
  const { servers, ledger, signal } = context;
  if (ledger.memory.writers === writers) return;
  requireWhole(context);
  const passive = otherSide(ledger.memory.active);
  if (writers === 'both') {
    for (const side of sideNames) {
      const problems = await wrongNumbers(servers[side]);
      if (problems.length > 0) throw refused(`On ${side}, ${problems.join('; ')}.`, 'Restart it, or set them back.');
    }
    await ledger.record(
      { writers },
      'warn',
      'Both servers take writes now. Offsets protect AUTO_INCREMENT columns only.',
    );
    await openServer(servers[passive]).catch(() => undefined);
    return;
  }
  try {
    await closeServer(servers[passive], withinMs);
    const goal = await executedBy(servers[passive]);
    const result = await waitForExecuted(servers[ledger.memory.active], goal, { timeoutMs: withinMs, signal });
    if (result !== 'reached') throw new Error(`${ledger.memory.active} has not executed everything of ${passive}.`);
  } catch (error) {
    await openServer(servers[passive]).catch(() => undefined);
    const text = `${passive} could not be closed: ${reasonOf(error)} Both still take writes.`;
    throw new PairError('PAIR_UNDONE', text, { cause: error });
  }
  await ledger.record({ writers }, 'good', `Only ${ledger.memory.active} takes writes now.`);
}
