import {
  type ClusterConfig,
  DEFAULT_CONFIG,
  DEFAULT_TAGS,
  type LeadershipRecord,
  type Member,
  type MemberId,
  type MemberTags,
  type StoreContent,
} from '@understudy/core';
import { type CommandHooks, SimAgent } from '../agent/agent.ts';
import { describeRecord } from '../agent/describe.ts';
import { SimGuard } from '../agent/guard.ts';
import { indexOf, nameOf } from '../agent/observe.ts';
import { SimPeers } from '../agent/peers.ts';
import type { SimProcess } from '../agent/process.ts';
import { Checks } from '../checks/checks.ts';
import { SimNet } from '../net/net.ts';
import { loseHost } from '../server/lifecycle.ts';
import { type ServerWorld, SimServer } from '../server/server.ts';
import { linkChanged, pump } from '../server/stream.ts';
import { SimStore } from '../store/sim-store.ts';
import { HostClock } from '../time/clock.ts';
import { type Random, randomFor } from '../time/random.ts';
import { Scheduler } from '../time/scheduler.ts';
import type { Scenario } from './scenario.ts';
import { Trace } from './trace.ts';

const GUARD_SOUND_MS = 2000;

/** One host: a server, its agent and its guard. */
export interface SimNode {
  readonly index: number;
  readonly clock: HostClock;
  readonly server: SimServer;
  readonly agent: SimAgent;
  readonly guard: SimGuard;
  tags: MemberTags;
}

/** As the scheduler of the host shows it: stopped, asleep between two events, or gone. */
function stateOf(process: SimProcess | undefined): string | null {
  if (process?.alive !== true) return null;
  return process.frozen ? 'T' : 'S';
}

/** A whole cluster in virtual time, wired together. */
export class World {
  readonly scenario: Scenario;
  readonly scheduler = new Scheduler();
  readonly trace: Trace;
  readonly net: SimNet;
  readonly store: SimStore;
  readonly checks: Checks;
  readonly servers: SimServer[] = [];
  readonly nodes: SimNode[] = [];
  readonly peers: SimPeers;
  readonly counts = { decisions: 0, failovers: 0 };
  readonly #latencies: Random;
  #hooks: CommandHooks = { atCommand: () => {} };
  #ids = 0;

  constructor(scenario: Scenario, trace: 'trace' | 'quiet') {
    const { seed, nodes } = scenario;
    this.scenario = scenario;
    this.trace = new Trace(trace === 'trace', () => this.scheduler.now);
    this.net = new SimNet(nodes, scenario.net, randomFor(seed, 'network'));
    this.#latencies = randomFor(seed, 'latencies');
    this.checks = new Checks({
      servers: this.servers,
      now: () => this.scheduler.now,
      content: () => this.store.content,
      guardIsSound: (node) => this.#guardIsSound(node),
    });
    this.store = new SimStore(this.scheduler, this.net, randomFor(seed, 'store'), scenario.storeClockRate, {
      onStoreChange: (before, after) => {
        this.#storeChanged(before, after);
      },
      onSessionEnd: (member) => {
        this.#sessionEnded(member);
      },
    });
    this.peers = new SimPeers(this.scheduler, this.net, randomFor(seed, 'peers'), {
      size: nodes,
      isHostUp: (node) => this.nodes[node]?.server.hostUp === true,
      isAgentAlive: (node) => this.nodes[node]?.agent.process.alive === true,
      wake: (node) => this.nodes[node]?.agent.wake(),
    });
    for (let index = 0; index < nodes; index++) this.nodes.push(this.#buildNode(index));
    this.net.onChange((from, to) => {
      this.#linkChanged(from, to);
    });
  }

  set hooks(hooks: CommandHooks) {
    this.#hooks = hooks;
  }

  /** The configuration in the store, the registered members' agents started. */
  begin(): void {
    const value: ClusterConfig = { ...DEFAULT_CONFIG, ...this.scenario.config };
    this.store.administer([{ key: 'config', value }]);
    for (const node of this.nodes) {
      this.scheduler.at(this.scenario.bootDelaysMs[node.index] ?? 0, () => this.bootHost(node));
    }
  }

  /** The host is there: its guard starts, and the agent. */
  bootHost(node: SimNode): void {
    node.server.hostUp = true;
    node.guard.start();
    node.agent.crash();
    node.agent.start();
  }

  stopHost(node: SimNode): void {
    loseHost(node.server);
    node.agent.crash();
    node.guard.process.end();
  }

  /** Registers (or re-registers) what operators say about a member. */
  memberOf(node: SimNode): Member {
    const id = nameOf(node.index);
    return { id, apiUrl: `http://${id}:8008`, host: id, port: 5432, tags: node.tags };
  }

  get record(): LeadershipRecord | null {
    return this.store.content.record?.value ?? null;
  }

  #buildNode(index: number): SimNode {
    const { scenario, scheduler } = this;
    const shape = scenario.clocks[index] ?? { rate: 1, wallOffsetMs: 0 };
    const clock = new HostClock(shape.rate, 1000 * (index + 1), shape.wallOffsetMs);
    const server = new SimServer(index, this.#serverWorld());
    server.onPassOn(() => {
      for (const stream of server.senders) pump(stream);
    });
    this.servers.push(server);
    const guard = new SimGuard({
      scheduler,
      clock,
      server,
      random: this.#latencies,
      respawn: () => this.#respawn(index),
      agentState: () => stateOf(this.nodes[index]?.agent.process),
    });
    const agent = new SimAgent({
      index,
      member: nameOf(index),
      scheduler,
      clock,
      random: this.#latencies,
      server,
      store: this.store,
      peers: this.peers,
      guard,
      trace: this.trace,
      hooks: { atCommand: (node, command, moment) => this.#hooks.atCommand(node, command, moment) },
      canRewind: scenario.canRewind,
      tags: () => this.nodes[index]?.tags ?? DEFAULT_TAGS,
      register: () => this.#registration(index),
      onLease: (believedUntil, storeUntil) => this.checks.onLease(nameOf(index), believedUntil, storeUntil),
      onDecision: () => {
        this.counts.decisions += 1;
      },
    });
    this.store.watch(index, (content, revision) => {
      agent.deliver(content, revision);
    });
    return { index, clock, server, agent, guard, tags: { ...DEFAULT_TAGS, ...scenario.tags[index] } };
  }

  #serverWorld(): ServerWorld {
    return {
      flavour: this.scenario.flavour,
      scheduler: this.scheduler,
      net: this.net,
      random: this.#latencies,
      servers: this.servers,
      observer: this.checks,
      trace: this.trace,
      streamTimeoutMs: this.scenario.streamTimeoutMs,
      startLsn: this.scenario.startLsn,
      nextId: () => {
        this.#ids += 1;
        return this.#ids;
      },
    };
  }

  #registration(index: number): ReturnType<ConstructorParameters<typeof SimAgent>[0]['register']> {
    const node = this.nodes[index];
    if (node === undefined) return [];
    return [{ key: `members/${nameOf(index)}`, value: this.memberOf(node) }];
  }

  /** The guard replaces an agent that is dead or frozen. */
  #respawn(index: number): void {
    const node = this.nodes[index];
    if (node === undefined) return;
    if (this.trace.on) this.trace.note(nameOf(index), 'guard: the agent is gone or silent, starting another');
    node.agent.crash();
    const { life } = node.guard.process;
    node.guard.process.later(this.#latencies.between(50, 250), () => {
      if (node.guard.process.life === life) node.agent.start();
    });
  }

  #guardIsSound(index: number): boolean {
    const node = this.nodes[index];
    if (node === undefined || !node.guard.process.alive || node.guard.process.frozen) return false;
    if (!node.guard.isInformed) return false;
    return this.scheduler.now - node.guard.impairedAt > GUARD_SOUND_MS;
  }

  #linkChanged(from: number, to: number): void {
    const a = this.servers[from];
    const b = this.servers[to];
    if (a === undefined || b === undefined) return;
    linkChanged(a, b);
    linkChanged(b, a);
  }

  /** Whoever held the session must have stopped believing in it by now. */
  #sessionEnded(member: MemberId): void {
    const node = this.nodes[indexOf(member)];
    const believed = node?.agent.session?.leaseUntil ?? null;
    if (node === undefined || believed === null) return;
    this.checks.onLease(member, node.clock.trueTime(believed), this.scheduler.now);
  }

  #storeChanged(before: StoreContent, after: StoreContent): void {
    this.checks.onStoreChange(before, after);
    const record = after.record?.value;
    if (record === undefined || record === before.record?.value) return;
    if (before.record !== null && record.epoch !== before.record.value.epoch) this.counts.failovers += 1;
    if (this.trace.on) this.trace.note('store', describeRecord(record));
  }
}
