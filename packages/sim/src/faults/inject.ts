import type { Command } from '@understudy/core';
import { nameOf } from '../agent/observe.ts';
import type { World } from '../run/world.ts';
import { kill } from '../server/lifecycle.ts';
import { describeFault, type Fault, type FaultAction, type FaultKind, type Target } from './fault.ts';
import { Striker } from './striker.ts';
import { STRIKES } from './strikes.ts';

type AtCommand = Extract<FaultAction, { kind: 'at-command' }>;

/** Carries out a plan of faults, and heals everything for the liveness phase. */
export class Injector {
  readonly struck = new Map<FaultKind, number>();
  readonly #world: World;
  readonly #striker: Striker;
  #armed: AtCommand[] = [];

  readonly #stir: () => void;

  /** @param stir called at every strike and at every end of a fault */
  constructor(world: World, stir: () => void) {
    this.#world = world;
    this.#stir = stir;
    this.#striker = new Striker(world, stir);
    world.hooks = { atCommand: (node, command, moment) => this.#atCommand(node, command, moment) };
  }

  plan(faults: readonly Fault[]): void {
    for (const fault of faults) {
      this.#world.scheduler.at(fault.at, () => {
        this.struck.set(fault.kind, (this.struck.get(fault.kind) ?? 0) + 1);
        if (this.#world.trace.on) this.#world.trace.note('fault', describeFault(fault));
        this.#stir();
        if (fault.kind === 'at-command') this.#armed.push(fault);
        else this.#strike(fault);
      });
    }
  }

  /**
   * Ends every fault, and does what is left to an operator: lifts tags, cancels what is scheduled, moves the data of a founding that
   * failed out of the way.
   */
  heal(): void {
    const { store, nodes } = this.#world;
    this.#armed = [];
    for (const node of nodes) {
      node.tags = { ...node.tags, nofailover: false, nosync: false };
      node.server.closedByHand = false;
    }
    this.#striker.endAll();
    if (store.content.paused) store.administer([{ key: 'paused', value: false }]);
    const pending = store.content.request?.value;
    if (pending?.kind === 'switchover' && pending.notBeforeWallMs !== null) {
      store.administer([{ key: 'request', value: 'delete' }]);
    }
    const cluster = store.content.identity?.value.systemId ?? null;
    for (const node of nodes) {
      if (cluster !== null && node.server.disk === 'data' && node.server.systemId !== cluster) {
        kill(node.server);
        node.server.disk = 'absent';
      }
      if (!node.server.hostUp) this.#world.bootHost(node);
      if (store.content.members.has(nameOf(node.index))) {
        store.administer([{ key: `members/${nameOf(node.index)}`, value: this.#world.memberOf(node) }]);
      }
    }
  }

  #strike<Kind extends FaultKind>(fault: Extract<FaultAction, { kind: Kind }>): void {
    const kind: Kind = fault.kind;
    STRIKES[kind]?.(this.#striker, fault);
  }

  /** Strikes at the first command that an armed fault waits for. */
  #atCommand(index: number, command: Command, moment: AtCommand['moment']): void {
    if (this.#armed.length === 0) return;
    const place = this.#armed.findIndex((armed) => armed.moment === moment && isMeant(armed, command));
    const armed = this.#armed[place];
    if (armed === undefined) return;
    this.#armed.splice(place, 1);
    const { trace } = this.#world;
    if (trace.on)
      trace.note(
        'fault',
        `${armed.strike} of ${armed.victim === 'self' ? nameOf(index) : armed.victim} ${moment} ${command.kind}`,
      );
    this.#stir();
    for (const action of struckBy(armed, armed.victim === 'self' ? index : armed.victim)) this.#strike(action);
  }
}

function isMeant(armed: AtCommand, command: Command): boolean {
  if (armed.command !== command.kind) return false;
  return command.kind !== 'commit' || armed.purpose === null || armed.purpose === command.purpose;
}

function struckBy(armed: AtCommand, node: Target): readonly Exclude<FaultAction, AtCommand>[] {
  const { forMs } = armed;
  const isolate = { kind: 'isolate', node, forMs, clients: 'kept' } as const;
  switch (armed.strike) {
    case 'crash-agent':
      return [{ kind: 'kill-agent', node }];
    case 'kill-database':
      return [{ kind: 'kill-database', node }];
    case 'isolate':
      return [isolate];
    case 'isolate-and-crash-agent':
      return [isolate, { kind: 'kill-agent', node }];
    default:
      return [{ kind: armed.strike, node, forMs }];
  }
}
