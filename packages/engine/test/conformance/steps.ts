import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type AckRule,
  ALONE,
  ackRule,
  contains,
  DEFAULT_TAGS,
  type EngineCommand,
  type EngineState,
  epoch,
  KEEP_END,
  type LogEnd,
  type MemberId,
  ms,
  type Position,
  timelineOf,
} from '@understudy/core';
import { type ClusterContext, type Engine, EngineError, type MemberReport } from '../../src/index.ts';
import type { ConformanceClient, ConformanceCluster, ConformanceHarness, ConformanceNode } from './harness.ts';

const waitMs = 60_000;
const pollMs = 10;
/** How often an agent looks while a client waits. */
const lookMs = 50;

type StateOf<Kind extends EngineState['kind']> = Extract<EngineState, { kind: Kind }>;

/** The clock that a promotion's deadline is read against. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Asks until `check` returns something; fails with what was last seen. */
export async function eventually<T>(what: string, check: () => Promise<T | null>, seen = async () => ''): Promise<T> {
  const endMs = monotonicMs() + waitMs;
  for (;;) {
    const found = await check();
    if (found !== null) return found;
    if (monotonicMs() > endMs) throw new Error(`never came: ${what}; last seen: ${await seen()}`);
    await delay(pollMs);
  }
}

/** A server that does not answer in time, as on a starved machine, is asked again: so does an agent, whose next decision repeats the command. */
async function insist(work: () => Promise<void>, attemptsLeft = 3): Promise<void> {
  try {
    await work();
  } catch (error) {
    const isLate = error instanceof EngineError && ['ENGINE_UNREACHABLE', 'ENGINE_TIMEOUT'].includes(error.code);
    if (!isLate || error.retry !== 'safe' || attemptsLeft === 1) throw error;
    await insist(work, attemptsLeft - 1);
  }
}

/** A cluster under test, with the same order of steps that an agent would take. */
export class Stage {
  readonly cluster: ConformanceCluster;
  readonly clients: ConformanceClient[] = [];
  readonly #looks = new Map<ConformanceNode, Promise<unknown>>();
  #epoch = 0;
  #rule: AckRule = ALONE;

  constructor(cluster: ConformanceCluster) {
    this.cluster = cluster;
  }

  /** Node number `index`, counted from 1. */
  node(index: number): ConformanceNode {
    const node = this.cluster.nodes[index - 1];
    if (node === undefined) throw new Error(`the cluster has no node ${index}`);
    return node;
  }

  context(self: ConformanceNode): ClusterContext {
    const members = this.cluster.nodes.map(
      ({ id, host, port }) => [id, { id, apiUrl: 'http://127.0.0.1:1', host, port, tags: DEFAULT_TAGS }] as const,
    );
    return {
      self: self.id,
      members: new Map(members),
      positions: new Map(),
      parameters: {},
      synchronousCommit: 'on',
      acknowledges: this.#rule.members.includes(self.id) ? 'yes' : 'no',
    };
  }

  async run(node: ConformanceNode, command: EngineCommand): Promise<void> {
    if (command.kind === 'set-ack-rule' || command.kind === 'promote') this.#rule = command.rule;
    await insist(() => node.engine().execute(command, this.context(node)));
    if (command.kind === 'set-ack-rule') await this.#tellAckers(node);
  }

  /** Replicas that have to ask for it learn from the record that they acknowledge, or that they do not any more. */
  async #tellAckers(leader: ConformanceNode): Promise<void> {
    for (const node of this.cluster.nodes) {
      if (node === leader || node.engine().progress === 'seen') continue;
      if ((await this.state(node)).kind === 'replica') await node.engine().maintain(this.context(node));
    }
  }

  /** What the agents of the other nodes would say now, for a leader that cannot see it itself. */
  async #reports(node: ConformanceNode): Promise<ReadonlyMap<MemberId, MemberReport>> {
    const reports = new Map<MemberId, MemberReport>();
    if (node.engine().progress === 'seen') return reports;
    for (const other of this.cluster.nodes) {
      const { state } = other === node ? { state: null } : await this.#look(other, new Map());
      if (state?.kind !== 'replica') continue;
      const streamsFrom = state.receiver.kind === 'streaming' ? state.upstream : null;
      reports.set(other.id, { position: state.position, streamsFrom, silentMs: 0 });
    }
    return reports;
  }

  async state(node: ConformanceNode): Promise<EngineState> {
    return (await this.#look(node, await this.#reports(node))).state;
  }

  /** One look at a time, as an agent has it: some last while a client waits, beside those of the test. */
  #look(node: ConformanceNode, reports: ReadonlyMap<MemberId, MemberReport>): ReturnType<Engine['observe']> {
    const look = (): ReturnType<Engine['observe']> => node.engine().observe(reports);
    const next = (this.#looks.get(node) ?? Promise.resolve()).then(look, look);
    this.#looks.set(node, next);
    return next;
  }

  /** Waits beside an agent, which looks at its server all the time: an engine may act on what it sees. */
  async #watched<T>(node: ConformanceNode, work: Promise<T>): Promise<T> {
    const ended = work.then(
      () => 'ended' as const,
      () => 'ended' as const,
    );
    while ((await Promise.race([ended, delay(lookMs, null)])) === null) {
      // A test may take the server away meanwhile: what comes of the work says so.
      await this.state(node).catch(() => null);
    }
    return work;
  }

  /** Waits for a state of that kind (and more, if `accept` asks for it) with no work under way. */
  async until<Kind extends EngineState['kind']>(
    node: ConformanceNode,
    kind: Kind,
    accept: (state: StateOf<Kind>) => boolean = () => true,
  ): Promise<StateOf<Kind>> {
    const isWanted = (state: EngineState): state is StateOf<Kind> => state.kind === kind;
    const seen = async (): Promise<string> => `${node.id}: ${print(await this.state(node))}`;
    return eventually(
      `${node.id} ${kind}`,
      async () => {
        const state = await this.state(node);
        const failures = node.engine().takeFailures();
        assert.deepEqual(
          failures.map((failure) => `${failure.command}: ${failure.error.message}`),
          [],
          `${node.id} failed`,
        );
        return isWanted(state) && node.engine().job() === null && accept(state) ? state : null;
      },
      seen,
    );
  }

  /** Starts a stopped node fenced, and waits until it knows its position. */
  async startFenced(node: ConformanceNode, end: LogEnd = KEEP_END): Promise<Position> {
    await this.run(node, { kind: 'start', end });
    return this.position(node);
  }

  /** The position of a running replica, once it is known. */
  async position(node: ConformanceNode): Promise<Position> {
    const state = await this.until(node, 'replica', (replica) => replica.position !== null);
    assert(state.position !== null);
    return state.position;
  }

  /** Opens a fenced node on the next history line, or `skip` lines further. */
  async promote(node: ConformanceNode, rule: AckRule, skip = 0): Promise<number> {
    const timeline = (timelineOf(await this.position(node)) ?? 0) + 1 + skip;
    const notAfter = ms(monotonicMs() + 10_000);
    await this.run(node, { kind: 'promote', epoch: this.nextEpoch(), timeline, rule, notAfter });
    const state = await this.until(node, 'primary');
    if (timelineOf(state.position) !== null) assert.equal(timelineOf(state.position), timeline);
    return timeline;
  }

  nextEpoch() {
    this.#epoch += 1;
    return epoch(this.#epoch);
  }

  async follow(node: ConformanceNode, leader: ConformanceNode): Promise<void> {
    await this.run(node, { kind: 'follow', upstream: leader.id, epoch: epoch(Math.max(1, this.#epoch)) });
    await this.until(node, 'replica', (state) => state.receiver.kind === 'streaming' && state.upstream === leader.id);
  }

  /** Makes node 1 an open leader that acknowledges alone, with the suite's table in it. */
  async found(): Promise<ConformanceNode> {
    const leader = this.node(1);
    await this.run(leader, { kind: 'initialize' });
    await this.until(leader, 'stopped');
    await this.startFenced(leader);
    await this.promote(leader, ALONE);
    await this.run(leader, { kind: 'provision' });
    await this.until(leader, 'primary');
    await this.cluster.createTable(leader);
    return leader;
  }

  /** Copies an empty or stopped node from the leader and lets it follow. */
  async join(node: ConformanceNode, leader: ConformanceNode): Promise<void> {
    await this.run(node, { kind: 'clone', from: leader.id });
    await this.until(node, 'stopped');
    await this.startFenced(node);
    await this.follow(node, leader);
  }

  /** A leader and its replicas, all following, all acknowledging by `ANY required`. */
  async build(required: number): Promise<ConformanceNode> {
    const leader = await this.found();
    const replicas = this.cluster.nodes.slice(1);
    await Promise.all(replicas.map((replica) => this.join(replica, leader)));
    await this.setRule(leader, ackRule(ids(replicas), required));
    return leader;
  }

  /** Changes the rule, and waits until enough members of it have passed the barrier. */
  async setRule(leader: ConformanceNode, rule: AckRule): Promise<void> {
    await this.run(leader, { kind: 'set-ack-rule', rule });
    await this.until(leader, 'primary', ({ acks, replicas }) => {
      assert.deepEqual(acks.running, rule);
      const { barrier } = acks;
      if (barrier === null) return false;
      const passed = replicas.filter((r) => rule.members.includes(r.member) && contains(r.confirmed, barrier));
      return passed.length >= rule.required;
    });
  }

  async connect(node: ConformanceNode): Promise<ConformanceClient> {
    const client = await node.connect();
    this.clients.push(client);
    return {
      write: (value, timeoutMs) => this.#watched(node, client.write(value, timeoutMs)),
      read: () => client.read(),
      close: () => client.close(),
    };
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.clients.map((client) => client.close()));
    await this.cluster.destroy();
  }
}

export const ids = (nodes: readonly ConformanceNode[]): readonly MemberId[] => nodes.map((node) => node.id);

/** A state as text, for failures. */
export function print(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString(16) : inner));
}

/** Runs `play` on a cluster of its own and takes it down again, whatever happens. */
export async function onStage(
  harness: ConformanceHarness,
  nodes: number,
  play: (stage: Stage) => Promise<void>,
): Promise<void> {
  const stage = new Stage(await harness.makeCluster(nodes));
  try {
    await play(stage);
  } finally {
    await stage.close();
  }
}
