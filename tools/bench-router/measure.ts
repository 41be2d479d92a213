/** One run of pgbench against one peer, and what the peer used of the processor meanwhile. */

import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { LOGIN, type Peer } from './peers.ts';

export interface Run {
  readonly tps: number;
  /** Latency percentiles, in ms. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of the peer for each transaction, in µs; null for the server alone. */
  readonly cpuUs: number | null;
}

export interface RunOptions {
  readonly pgbench: string;
  readonly clients: number;
  readonly seconds: number;
  readonly mode: 'simple' | 'prepared';
  /** Where pgbench writes its log of single transactions. */
  readonly folder: string;
}

/** @throws Error when pgbench fails */
export async function measure(peer: Peer, options: RunOptions): Promise<Run> {
  const pids = await peer.pids();
  const before = await cpuTicks(pids);
  const prefix = `${options.folder}/log-${peer.port}-${Date.now()}`;
  const threads = Math.min(2, options.clients);
  const text = await pgbench(options.pgbench, peer.port, [
    ...['-n', '-S', '-M', options.mode, '-c', `${options.clients}`, '-j', `${threads}`, '-T', `${options.seconds}`],
    ...['-l', '--log-prefix', prefix],
  ]);
  const ticks = (await cpuTicks(pids)) - before;
  const transactions = numberIn(text, /transactions actually processed: (\d+)/);
  const latencies = await latenciesMs(prefix, threads);
  return {
    tps: numberIn(text, /tps = ([\d.]+) \(without/),
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    cpuUs: pids.length === 0 ? null : (ticks * 10_000) / transactions,
  };
}

export async function initialize(pgbenchProgram: string, port: number): Promise<void> {
  await pgbench(pgbenchProgram, port, ['-i', '-q', '-s', '10']);
}

function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`pgbench said something else than expected:\n${text}`);
  return Number(found);
}

function pgbench(program: string, port: number, args: readonly string[]): Promise<string> {
  const env = { ...process.env, PGPASSWORD: LOGIN.password };
  const place = ['-h', '127.0.0.1', '-p', `${port}`, '-U', LOGIN.user, LOGIN.database];
  return new Promise((done, fail) => {
    const child = spawn(program, [...args, ...place], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.once('error', fail);
    child.once('close', (code) => (code === 0 ? done(out) : fail(new Error(`pgbench ended with ${code}: ${err}`))));
  });
}

async function latenciesMs(prefix: string, threads: number): Promise<number[]> {
  const { readdir, rm } = await import('node:fs/promises');
  const { basename, dirname, join } = await import('node:path');
  const names = (await readdir(dirname(prefix))).filter((name) => name.startsWith(basename(prefix)));
  if (names.length < threads) throw new Error('pgbench wrote no log');
  const values: number[] = [];
  for (const name of names) {
    const file = join(dirname(prefix), name);
    for (const line of (await readFile(file, 'utf8')).split('\n')) {
      const us = Number(line.split(' ')[2]);
      if (us > 0) values.push(us / 1_000);
    }
    await rm(file);
  }
  return values.sort((a, b) => a - b);
}

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

/** User and system time of the processes, in ticks of 10 ms. */
async function cpuTicks(pids: readonly number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks;
}
