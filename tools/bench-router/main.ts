/** `npm run bench:router`: pgbench against a server alone and through HAProxy, PgBouncer and our router, in turns, in one run. */

import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { serverUser } from '@understudy/servers';
import { initialize, measure, type Run, type RunOptions } from './measure.ts';
import { type Bench, startBench } from './peers.ts';

const usage = `Usage: npm run bench:router -- [--rounds 5] [--seconds 3] [--clients 1,8,32] [--workers 1] [--mode simple|prepared] [--json]

PgBouncer 1.18 has no prepared statements of the protocol in transaction mode: compare --mode prepared with the other two only.
`;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    clients: { type: 'string', default: '1,8,32' },
    workers: { type: 'string', default: '1' },
    mode: { type: 'string', default: 'simple' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

interface Row {
  readonly clients: number;
  readonly peer: string;
  readonly runs: readonly Run[];
}

const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;

async function main(): Promise<void> {
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'us-bench-router-'));
  await chmod(folder, 0o755);
  const owner = serverUser();
  if (owner !== null) await (await import('node:fs/promises')).chown(folder, owner.uid, owner.gid);
  let bench: Bench | null = null;
  try {
    bench = await startBench(folder, Number(values.workers));
    const rows = await compare(bench, folder);
    process.stdout.write(
      values.json ? `${JSON.stringify({ machine: machine(), rows }, null, 2)}\n` : report(bench, rows),
    );
  } finally {
    await bench?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function compare(bench: Bench, folder: string): Promise<readonly Row[]> {
  const pgbench = bench.tools.pgbench;
  if (pgbench === null) throw new Error('pgbench is not here: npm run servers -- get pg-tools-17');
  await initialize(pgbench, bench.peers[0]?.port ?? 0);
  const mode: RunOptions['mode'] = values.mode === 'prepared' ? 'prepared' : 'simple';
  const rows: Row[] = [];
  for (const clients of values.clients.split(',').map(Number)) {
    const runs = bench.peers.map((): Run[] => []);
    for (let round = 0; round < Number(values.rounds); round++) {
      // Another one begins each time, so that none has always the quiet moment.
      for (let turn = 0; turn < bench.peers.length; turn++) {
        const at = (turn + round) % bench.peers.length;
        const peer = bench.peers[at];
        if (peer === undefined) continue;
        process.stderr.write(`\r${clients} clients, round ${round + 1}: ${peer.name}            `);
        const run = await measure(peer, { pgbench, clients, seconds: Number(values.seconds), mode, folder });
        runs[at]?.push(run);
      }
    }
    bench.peers.forEach((peer, at) => {
      rows.push({ clients, peer: peer.name, runs: runs[at] ?? [] });
    });
  }
  process.stderr.write('\n');
  return rows;
}

function report(bench: Bench, rows: readonly Row[]): string {
  const versions = Object.entries(bench.versions).map(([name, version]) => `${name} ${version}`);
  const lines = [
    `${machine()}; ${versions.join(', ')}; node ${process.versions.node}`,
    `pgbench -S -M ${values.mode}, ${values.rounds} rounds of ${values.seconds} s each, in turns; ratios of medians`,
    '',
    '| clients | through | tps: min / median / max | to pgbouncer | to direct | CPU µs each | p50 ms | p99 ms |',
    '|---|---|---|---|---|---|---|---|',
  ];
  for (const row of rows) {
    const tps = row.runs.map((run) => run.tps);
    const of = (name: string): number =>
      median(rows.find((each) => each.clients === row.clients && each.peer === name)?.runs.map((run) => run.tps) ?? []);
    const cpu = row.runs.flatMap((run) => (run.cpuUs === null ? [] : [run.cpuUs]));
    const cells = [
      row.clients,
      row.peer,
      `${Math.min(...tps).toFixed(0)} / ${median(tps).toFixed(0)} / ${Math.max(...tps).toFixed(0)}`,
      (median(tps) / of('pgbouncer')).toFixed(2),
      (median(tps) / of('direct')).toFixed(2),
      cpu.length === 0 ? '' : median(cpu).toFixed(1),
      median(row.runs.map((run) => run.p50Ms)).toFixed(2),
      median(row.runs.map((run) => run.p99Ms)).toFixed(2),
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return `${lines.join('\n')}\n`;
}

function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  return `${availableParallelism()} cores of ${model}, load ${loadavg()[0]?.toFixed(1)}`;
}

await main();
