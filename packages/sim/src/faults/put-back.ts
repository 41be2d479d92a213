import { type LiveState, type MemberId, planRestore, type StoreMark, type StorePut } from '@understudy/core';
import { nameOf } from '../agent/observe.ts';
import type { SimNode, World } from '../run/world.ts';
import { kill } from '../server/lifecycle.ts';
import type { Striker } from './striker.ts';

/** How long an operator takes to look again. */
const OPERATOR_LOOKS_MS = 2_000;

/** Puts the store back, with or without a loss of power of all hosts in the same moment; from then on an operator tries to restore it. */
export function putBack(it: Striker, agoMs: number | 'all', hosts: 'stay' | 'lose-power', forMs: number): void {
  const { world } = it;
  const { store, checks, nodes } = world;
  if (store.trouble.down > 0) return;
  if (hosts === 'lose-power') {
    // Not all come back in the same moment, and not in the order in which they would like to be asked.
    for (const node of nodes) it.killHost(node, forMs * (node.index + 1));
  }
  const forgot = store.putBack(agoMs === 'all' ? Number.POSITIVE_INFINITY : agoMs);
  if (!forgot) return;
  checks.storeIsBack = true;
  operate(world, 0);
}

function operate(world: World, attempts: number): void {
  world.scheduler.after(OPERATOR_LOOKS_MS, () => {
    if (!world.checks.storeIsBack) return;
    if (attempts === ATTEMPTS_BEFORE_LOOKING) for (const node of world.nodes) clearRival(world, node);
    if (!world.nodes.some((node) => restoreFrom(world, node, attempts > ATTEMPTS_BEFORE_LOOKING ? 'yes' : 'no')))
      operate(world, attempts + 1);
  });
}

/** After so many the operator looks at the data. */
const ATTEMPTS_BEFORE_LOOKING = 10;

/** Whoever was let in by the old store has a history with the numbers of the real one: its data is moved away, as the refusal says. */
function clearRival(world: World, node: SimNode): void {
  const { server } = node;
  if (!world.checks.isDoubtful(server) || !world.nodes.some((each) => each.agent.session?.refused === true)) return;
  kill(server);
  server.disk = 'absent';
  server.note = null;
  server.memory = null;
  node.agent.crash();
  if (server.hostUp) node.agent.start();
}

/** What `restore-store` does by the agent of `node`: nothing where it may not, or something could be lost. */
function restoreFrom(world: World, node: SimNode, force: 'yes' | 'no'): boolean {
  const { session } = node.agent;
  const { note } = node.server;
  const { store } = world;
  if (store.trouble.down > 0 || !node.agent.process.alive || session === null || note === null || !session.refused)
    return false;
  const heard = heardBy(world, node);
  const own = node.agent.published;
  if (session.known === null || own === null) return false;
  const plan = planRestore({
    self: nameOf(node.index),
    known: session.known,
    engine: own.engine,
    members: note.content.members.keys(),
    heard,
    storeEpoch: store.content.record?.value.epoch ?? null,
    wallMs: 0,
    force,
  });
  if (plan.kind !== 'ready') return false;
  // By force only where it costs nothing, as an operator who has looked at the data can tell.
  if (plan.losses.length > 0 && (force === 'no' || !world.checks.holdsAll(node.server))) return false;
  const { identity, config, members } = note.content;
  store.administer([
    ...(identity === null ? [] : [{ key: 'identity' as const, value: identity.value }]),
    ...(config === null ? [] : [{ key: 'config' as const, value: config.value }]),
    ...[...members].map(([id, value]) => ({ key: `members/${id}` as const, value })),
    ...historyOf(session.known),
    { key: 'record', value: plan.record },
    { key: `history/${plan.record.epoch}`, value: plan.history },
    { key: 'request', value: 'delete' },
  ]);
  if (node.server.process === 'primary') node.server.epoch = plan.record.epoch;
  return true;
}

function heardBy(world: World, node: SimNode): ReadonlyMap<MemberId, LiveState> {
  const heard = new Map<MemberId, LiveState>();
  for (const other of world.nodes) {
    if (other === node || !other.agent.process.alive || other.agent.published === null) continue;
    if (!world.net.passes(other.index, node.index)) continue;
    heard.set(nameOf(other.index), other.agent.published);
  }
  return heard;
}

/** What the history said of the known epoch: an old copy may have let in another leader of that number. */
function historyOf({ record }: StoreMark): readonly StorePut[] {
  const { epoch, leader, timeline, cause, chosenAt } = record;
  return [{ key: `history/${epoch}`, value: { epoch, leader, timeline, cause, chosenAt, wallMs: 0 } }];
}
