import { monotonicMs, pauseUnlessInterrupted } from '@understudy/base';
import { type BenchContext, onCluster } from './bench.ts';
import { cpuMs, memoryBytes } from './cpu.ts';

/** What one node's agent and guard use while nothing happens. */
export interface AgentFigures {
  readonly node: string;
  readonly role: 'leader' | 'replica';
  /** Share of one core, in percent. */
  readonly agentCpuPercent: number;
  readonly guardCpuPercent: number;
  readonly agentMiB: number;
  readonly guardMiB: number;
}

const settleMs = 15_000;

/** Measures processor time and memory of agents and guards of an idle cluster. The figures: ≤ 1 % of a core, ≤ 120 MB, together. */
export async function benchAgent(context: BenchContext, seconds: number): Promise<readonly AgentFigures[]> {
  return onCluster(context, async (cluster, leader) => {
    context.say(`an idle cluster settles for ${settleMs / 1000} s, then is watched for ${seconds} s`);
    await pauseUnlessInterrupted(settleMs, context.signal);
    const before = cluster.nodes.map((node) => ({ node, agent: node.agents()[0], guard: node.guards()[0] }));
    const at = (pid: number | undefined): number => (pid === undefined ? 0 : cpuMs(pid));
    const start = before.map(({ agent, guard }) => ({ agent: at(agent?.pid), guard: at(guard?.pid) }));
    const startedMs = monotonicMs();
    await pauseUnlessInterrupted(seconds * 1000, context.signal);
    const tookMs = monotonicMs() - startedMs;
    return before.map(({ node, agent, guard }, index): AgentFigures => {
      const percent = (nowMs: number, beforeMs: number | undefined): number =>
        round((100 * (nowMs - (beforeMs ?? 0))) / tookMs);
      const mib = (pid: number | undefined): number => (pid === undefined ? 0 : round(memoryBytes(pid) / 1024 ** 2));
      return {
        node: node.name,
        role: node.name === leader ? 'leader' : 'replica',
        agentCpuPercent: percent(at(agent?.pid), start[index]?.agent),
        guardCpuPercent: percent(at(guard?.pid), start[index]?.guard),
        agentMiB: mib(agent?.pid),
        guardMiB: mib(guard?.pid),
      };
    });
  });
}

const round = (value: number): number => Math.round(value * 100) / 100;
