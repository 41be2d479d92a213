import type { LocalCluster } from '@understudy/local';
import { type DrillOptions, parseOptions } from '../options.ts';
import { type ClusterIo, startCluster } from '../run/cluster.ts';

export interface BenchContext {
  readonly command: readonly string[];
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
  readonly options: DrillOptions;
}

export function benchIo({ command, signal, say }: BenchContext): ClusterIo {
  return { command, signal, notice: say, progress: () => undefined };
}

/** Options of a benchmark's cluster: those of a drill, as its command line has them. */
export const benchOptions = (given: Readonly<Record<string, unknown>>): DrillOptions => parseOptions(given);

/** Runs `work` on a new cluster on the loopback address, which is removed afterwards. */
export async function onCluster<T>(
  context: BenchContext,
  work: (cluster: LocalCluster, leader: string) => Promise<T>,
): Promise<T> {
  const { cluster, leader } = await startCluster(context.options, 'loopback', benchIo(context));
  try {
    return await work(cluster, leader);
  } finally {
    await cluster.destroy();
  }
}
