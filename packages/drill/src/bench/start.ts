import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monotonicMs } from '@understudy/base';
import { createLocalCluster, type LocalCluster } from '@understudy/local';
import { spread } from '../check/summary.ts';
import { withAdmin } from '../run/sql.ts';
import type { BenchContext } from './bench.ts';

/** Time from the command to the first write that a client had acknowledged, in ms, over several new clusters. */
export interface StartFigures {
  readonly runs: number;
  readonly firstMs: ReturnType<typeof spread>;
  /** Of the same clusters, ended and started again. */
  readonly secondMs: ReturnType<typeof spread>;
}

/** Starts a new cluster, ends it, and starts it again, so and so often. What has to be downloaded first is not part of it. */
export async function benchStart(context: BenchContext, runs: number): Promise<StartFigures> {
  const firstMs: number[] = [];
  const secondMs: number[] = [];
  for (let run = 1; run <= runs; run += 1) {
    const folder = await mkdtemp(join(tmpdir(), 'understudy-start-'));
    const first = await timeToWrite(context, folder);
    await first.cluster.stop();
    const second = await timeToWrite(context, folder);
    await second.cluster.destroy();
    context.say(`${run}/${runs}: first start ${first.tookMs} ms, second ${second.tookMs} ms`);
    firstMs.push(first.tookMs);
    secondMs.push(second.tookMs);
  }
  return { runs, firstMs: spread(firstMs), secondMs: spread(secondMs) };
}

async function timeToWrite(
  context: BenchContext,
  folder: string,
): Promise<{ readonly cluster: LocalCluster; readonly tookMs: number }> {
  const startedMs = monotonicMs();
  const cluster = await createLocalCluster({ name: 'start', folder, command: context.command });
  const leader = await cluster.start({ signal: context.signal });
  await withAdmin(cluster, leader, 'postgres', (session) =>
    session.rows('create table if not exists started (at timestamptz); insert into started values (now())'),
  );
  return { cluster, tookMs: Math.round(monotonicMs() - startedMs) };
}
