import type { MemberTags, OperatorRequest } from '@understudy/core';
import { nameOf } from '../agent/observe.ts';
import type { SimNode, World } from '../run/world.ts';
import { freezeServer, kill, stopServer, thawServer } from '../server/lifecycle.ts';
import type { SimServer } from '../server/server.ts';
import { type Random, randomFor } from '../time/random.ts';
import type { FaultAction, Target } from './fault.ts';

/** What an engine gives an orderly stop before it kills. */
const ORDERLY_STOP_MS = 6000;
/** By when a guard that runs must have replaced a frozen agent. */
const FROZEN_AGENT_MS = 2500;

/** What faults are made of: each begins something and, where it lasts, ends it after its time or when everything is healed. */
export class Striker {
  readonly world: World;
  readonly #random: Random;
  readonly #active = new Set<() => void>();
  #requests = 0;

  readonly #stir: () => void;

  constructor(world: World, stir: () => void) {
    this.world = world;
    this.#stir = stir;
    this.#random = randomFor(world.scenario.seed, 'faults');
  }

  /** Ends everything that lasts. */
  endAll(): void {
    for (const undo of [...this.#active]) undo();
  }

  /** Ends what has begun after `forMs`, or at the healing. */
  during(forMs: number, undo: () => void): void {
    const { scheduler, trace } = this.world;
    const once = (): void => {
      if (!this.#active.delete(once)) return;
      undo();
      this.#stir();
    };
    this.#active.add(once);
    scheduler.after(forMs, () => {
      if (trace.on && this.#active.has(once)) trace.note('fault', 'a fault ends');
      once();
    });
  }

  node(target: Target): SimNode {
    const { nodes } = this.world;
    const leader = this.#leader();
    const index = typeof target === 'number' ? target : target === 'leader' ? leader : (leader + 1) % nodes.length;
    const node = nodes[index % nodes.length];
    if (node === undefined) throw new RangeError(`no node ${index}`);
    return node;
  }

  #leader(): number {
    const { servers, record } = this.world;
    const primaries = servers.filter((server) => server.process === 'primary');
    primaries.sort((a, b) => Number(b.epoch) - Number(a.epoch));
    const [first] = primaries;
    if (first !== undefined) return first.index;
    return record === null ? 0 : Number(record.leader.slice(1)) - 1;
  }

  nextRequest(): string {
    this.#requests += 1;
    return `r${this.#requests}`;
  }

  request(value: OperatorRequest): void {
    const { store } = this.world;
    if (store.trouble.down > 0) return;
    store.administerIf({
      kind: 'commit',
      purpose: 'operator',
      expect: [{ key: 'request', is: 'absent' }],
      put: [{ key: 'request', value }],
    });
  }

  killGuard(node: SimNode): void {
    const { guard } = node;
    if (!guard.process.alive) return;
    guard.process.end();
    guard.impairedAt = this.world.scheduler.now;
    const { life } = guard.process;
    // The host's service manager brings it back.
    this.world.scheduler.after(this.#random.between(300, 5000), () => {
      if (guard.process.life !== life || !node.server.hostUp) return;
      guard.impairedAt = this.world.scheduler.now;
      guard.start();
    });
  }

  /** The agent hands over; then the guard goes, and the server stops in order, or is killed when it does not. */
  stopAgent(node: SimNode, forMs: number): void {
    const { agent, guard, server } = node;
    agent.leave(() => {
      guard.process.end();
      guard.impairedAt = this.world.scheduler.now;
      const { life } = server;
      if (server.running) stopServer(server, 'orderly');
      agent.crash();
      this.world.scheduler.after(ORDERLY_STOP_MS, () => {
        if (server.life === life && server.running) kill(server);
      });
      this.during(Math.max(forMs, ORDERLY_STOP_MS), () => {
        if (server.life === life && server.running) kill(server);
        if (!agent.process.alive) this.world.bootHost(node);
      });
    });
  }

  killHost(node: SimNode, forMs: number): void {
    if (!node.server.hostUp) return;
    this.world.stopHost(node);
    this.during(forMs, () => {
      if (!node.server.hostUp) this.world.bootHost(node);
    });
  }

  freezeProcess(process: SimNode['agent']['process'], forMs: number): void {
    if (!process.alive) return;
    const { life } = process;
    process.freeze();
    this.during(forMs, () => {
      if (process.life === life) process.thaw();
    });
  }

  /** The guard has to replace it, if it can. */
  freezeAgent(node: SimNode, forMs: number): void {
    const { agent, guard } = node;
    const { life } = agent.process;
    this.freezeProcess(agent.process, forMs);
    const { checks, scheduler } = this.world;
    if (forMs <= FROZEN_AGENT_MS) return;
    scheduler.after(FROZEN_AGENT_MS, () => {
      const { process } = agent;
      const isWatched =
        guard.process.alive && !guard.process.frozen && scheduler.now - guard.impairedAt > FROZEN_AGENT_MS;
      if (process.life !== life || !process.frozen || !isWatched) return;
      checks.fail('frozen-agent-replaced', `${nameOf(node.index)}'s agent has been frozen for ${FROZEN_AGENT_MS} ms.`);
    });
  }

  freezeGuard(node: SimNode, forMs: number): void {
    const { guard } = node;
    if (!guard.process.alive) return;
    const { life } = guard.process;
    guard.process.freeze();
    guard.impairedAt = this.world.scheduler.now;
    this.during(forMs, () => {
      guard.impairedAt = this.world.scheduler.now;
      if (guard.process.life === life) guard.process.thaw();
    });
  }

  freezeDatabase(server: SimServer, forMs: number): void {
    if (!server.running) return;
    const { life } = server;
    freezeServer(server);
    this.during(forMs, () => {
      if (server.life === life) thawServer(server);
    });
  }

  freezeHost(node: SimNode, forMs: number): void {
    this.freezeDatabase(node.server, forMs);
    this.freezeGuard(node, forMs);
    this.freezeProcess(node.agent.process, forMs);
  }

  hang(server: SimServer, forMs: number): void {
    if (!server.running) return;
    const { life } = server;
    server.shiftHung(1);
    this.during(forMs, () => {
      if (server.life === life) server.shiftHung(-1);
    });
  }

  isolate(node: SimNode, forMs: number, clients: 'cut' | 'kept'): void {
    const links: [number, number][] = [];
    for (const other of this.world.nodes) {
      if (other !== node) links.push([node.index, other.index], [other.index, node.index]);
    }
    this.cut(links, forMs);
    this.cutStore(node.index, forMs, 'both');
    if (clients === 'cut') this.cutClients(node.index, forMs);
  }

  cut(links: readonly (readonly [number, number])[], forMs: number): void {
    const { net } = this.world;
    const known = links.filter(
      ([from, to]) => from !== to && from < this.world.nodes.length && to < this.world.nodes.length,
    );
    for (const [from, to] of known) net.cut(from, to);
    this.during(forMs, () => {
      for (const [from, to] of known) net.heal(from, to);
    });
  }

  cutClients(index: number, forMs: number): void {
    const { net } = this.world;
    net.shiftClients(index, 1);
    this.during(forMs, () => net.shiftClients(index, -1));
  }

  pause(forMs: number): void {
    const { store } = this.world;
    store.administer([{ key: 'paused', value: true }]);
    this.during(forMs, () => store.administer([{ key: 'paused', value: false }]));
  }

  tag(node: SimNode, change: Partial<MemberTags>): void {
    const { store } = this.world;
    node.tags = { ...node.tags, ...change };
    if (!store.content.members.has(nameOf(node.index))) return;
    store.administer([{ key: `members/${nameOf(node.index)}`, value: this.world.memberOf(node) }]);
  }

  cutStore(node: number, forMs: number, direction: 'both' | 'to' | 'from'): void {
    const { net } = this.world;
    const shift = (delta: 1 | -1): void => {
      if (direction !== 'from') net.shiftStore(node, 'to', delta);
      if (direction !== 'to') net.shiftStore(node, 'from', delta);
    };
    shift(1);
    this.during(forMs, () => shift(-1));
  }

  storeDown(forMs: number, leases: 'extended' | 'counted'): void {
    const { store } = this.world;
    store.trouble.down += 1;
    this.during(forMs, () => {
      store.trouble.down -= 1;
      if (store.trouble.down === 0) store.recover(leases);
    });
  }

  storeLossy(fault: Extract<FaultAction, { kind: 'store-lossy' }>): void {
    const { trouble } = this.world.store;
    const shift = (sign: 1 | -1): void => {
      trouble.loseRequest += sign * fault.loseRequest;
      trouble.loseReply += sign * fault.loseReply;
      trouble.loseWatch += sign * fault.loseWatch;
      trouble.extraMs += sign * fault.extraMs;
    };
    shift(1);
    this.during(fault.forMs, () => shift(-1));
  }

  shift(server: SimServer, which: 'diskFull' | 'slowDiskMs' | 'slowReloadMs', by: number, forMs: number): void {
    server.trouble[which] += by;
    this.during(forMs, () => {
      server.trouble[which] -= by;
    });
  }
}
