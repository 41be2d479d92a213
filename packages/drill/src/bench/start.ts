import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalCluster, type LocalCluster } from '@understudy/local';
import { adminTarget, withSession } from '../run/sql.ts';
import type { BenchContext } from './bench.ts';

/** Time from the command to the first write that a client had acknowledged. */
export interface StartFigures {
  readonly firstMs: number;
  readonly secondMs: number;
}

/** Starts a new cluster, ends it, and starts it again. What has to be downloaded first is not part of it. */
export async function benchStart(context: BenchContext): Promise<StartFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-start-'));
  const first = await timeToWrite(context, folder);
  await first.cluster.stop();
  context.say(`first start: ${first.tookMs} ms`);
  const second = await timeToWrite(context, folder);
  await second.cluster.destroy();
  return { firstMs: first.tookMs, secondMs: second.tookMs };
}

async function timeToWrite(
  context: BenchContext,
  folder: string,
): Promise<{ readonly cluster: LocalCluster; readonly tookMs: number }> {
  const startedMs = performance.now();
  const cluster = await createLocalCluster({ name: 'start', folder, command: context.command });
  const leader = await cluster.start({ signal: context.signal });
  await withSession(adminTarget(cluster, leader, 'postgres'), (session) =>
    session.rows('create table if not exists started (at timestamptz); insert into started values (now())'),
  );
  return { cluster, tookMs: Math.round(performance.now() - startedMs) };
}
