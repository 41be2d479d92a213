import { pollUntil } from '@understudy/base';
import { gtidContains } from '@understudy/core';
import type { Step } from '../decide/decide.ts';
import { missingFrom, positionText } from '../decide/positions.ts';
import { type Both, otherSide, type SideName } from '../decide/sides.ts';
import type { SideView } from '../decide/state.ts';
import { closeServer, executedBy, goOnApplying, link, openServer, unlink } from '../server/link.ts';
import type { PairServer } from '../server/server.ts';
import type { KeptRows } from './late-rows.ts';
import type { Ledger } from './ledger.ts';

const closeWithinMs = 5000;
/** A source sends a transaction a moment before it counts it as executed. */
const countedWithinMs = 2000;

export interface StepContext {
  readonly servers: Both<PairServer>;
  readonly ledger: Ledger;
  readonly views: Both<SideView>;
  /** The last position of each server that was seen. */
  readonly lastSeen: Partial<Record<SideName, ReadonlyMap<string, readonly { first: bigint; last: bigint }[]>>>;
  /** Writes what a server that is set apart holds into a file. */
  readonly keepRows: (side: SideName, transactions: string) => Promise<KeptRows>;
}

/** Carries out one step. @throws whatever the servers say: the next look decides anew. */
export async function carryOut(step: Step, context: StepContext): Promise<void> {
  const { servers, ledger } = context;
  const server = servers[step.side];
  switch (step.kind) {
    case 'start': {
      const how = await server.launch();
      return ledger.tell('plain', `${step.side} ${how === 'started' ? 'was started' : 'was found running'}.`);
    }
    case 'kill':
      await ledger.tell('bad', `${step.side} is ended with SIGKILL: ${step.reason}.`);
      server.sql.cut();
      return server.process.kill();
    case 'close':
      await closeServer(server, closeWithinMs);
      return ledger.tell('plain', `${step.side} is closed for writes.`);
    case 'open':
      await openServer(server);
      return ledger.tell('good', `${step.side} is open for writes.`);
    case 'link':
      await link(server, servers[otherSide(step.side)]);
      return ledger.compared();
    case 'apply':
      return goOnApplying(server);
    case 'take-over':
      return takeOver(step.side, context);
    case 'set-apart':
      return setApart(step.side, context);
  }
}

/** The dead server's late transactions must not arrive by themselves when it returns: the receiver is ended first. */
async function takeOver(side: SideName, { servers, ledger, views, lastSeen }: StepContext): Promise<void> {
  await unlink(servers[side]);
  const { server } = views[side];
  const executed = await executedBy(servers[side]);
  if (server === null || !gtidContains(executed, server.received)) return;
  const dead = otherSide(side);
  const known = missingFrom(lastSeen[dead] ?? new Map(), executed).transactions;
  const { writers } = ledger.memory;
  const lost =
    writers === 'both'
      ? `both took writes, so what ${dead} had not sent arrives when it returns`
      : known === 0n
        ? `nothing that was seen of ${dead} is missing on ${side}; what ${dead} wrote in its last moment is looked for when it returns`
        : `at least ${known} transactions of ${dead} had not been sent; they are looked for when it returns`;
  const uncompared = writers === 'one' ? dead : null;
  await ledger.record({ active: side, uncompared }, 'warn', `${dead} died, ${side} is the active one now: ${lost}.`);
}

async function setApart(side: SideName, { servers, ledger, keepRows }: StepContext): Promise<void> {
  const active = otherSide(side);
  const kind = servers[side].dialect.gtids;
  const held = await executedBy(servers[side]);
  const counted = await pollUntil(
    async () => (missingFrom(held, await executedBy(servers[active])).transactions === 0n ? true : null),
    { everyMs: 50, timeoutMs: countedWithinMs },
  );
  if (counted !== null) {
    await link(servers[active], servers[side]);
    await ledger.compared();
    return;
  }
  await unlink(servers[side]);
  const { set, transactions } = missingFrom(held, await executedBy(servers[active]));
  const text = positionText(kind, set);
  const { artifact, rows } = await keepRows(side, text);
  const apart = { side, transactions: text, count: Number(transactions), artifact, rows, sinceMs: Date.now() };
  const what = `${side} holds ${transactions} transactions that ${active} went on without (${text})`;
  const next = 'It follows nobody until somebody decides: understudy pair repair apart';
  await ledger.record({ apart, uncompared: null }, 'bad', `${what}. ${next}`);
}
