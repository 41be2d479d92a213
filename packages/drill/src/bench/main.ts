/**
 * Benchmarks that are no drill: `node main.ts agent [--seconds N]`, `false-failover [--minutes N] [--load idle|saturated]`, `start`,
 * `clone [--engine KIND] [--megabytes N] [--runs N]`.
 * Each prints JSON.
 */

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { machineText } from '../report/report.ts';
import { benchAgent } from './agent.ts';
import { type BenchContext, benchOptions } from './bench.ts';
import { benchClone } from './clone/clone.ts';
import { benchFalseFailover, type FalseFailovers } from './false-failover.ts';
import { benchStart } from './start.ts';
import { processTerminal } from './terminal.ts';

const usage = `Usage: bench <agent|clone|false-failover|start> [options]

  agent            processor time and memory of agent and guard of an idle cluster; --seconds N (60)
  false-failover   changes of leader while nothing fails; --minutes N (60), --load idle|saturated (both, one after the other)
  clone            time of a new copy, against the product's own tools; --engine mysql|mariadb|postgres (postgres),
                   --server-version V, --megabytes N (1024), --runs N (3)
  start            time to the first write, of a new cluster and of one that was there; --runs N (3)
  --store KIND     local (default) or etcd
`;

const terminal = processTerminal();
const command = [process.execPath, fileURLToPath(new URL('../../../cli/src/main.ts', import.meta.url))];

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '60' },
      minutes: { type: 'string', default: '60' },
      load: { type: 'string', default: 'both' },
      runs: { type: 'string', default: '3' },
      store: { type: 'string', default: 'local' },
      engine: { type: 'string', default: 'postgres' },
      megabytes: { type: 'string', default: '1024' },
      'server-version': { type: 'string' },
    },
  });
  const interruption = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interruption.abort());
  const say = (text: string): void => terminal.err(`${text}\n`);
  const context: BenchContext = {
    command,
    signal: interruption.signal,
    say,
    options: benchOptions({ store: values.store, engine: values.engine, ...versionOf(values['server-version']) }),
  };
  const bench = positionals[0];
  const result = await run(bench, context, values);
  const report = { bench, machine: machineText(), store: values.store, result };
  terminal.out(result === null ? usage : `${JSON.stringify(report, null, 2)}\n`);
  return result === null ? 2 : 0;
}

const versionOf = (version: string | undefined) => (version === undefined ? {} : { serverVersion: version });

async function run(
  which: string | undefined,
  context: BenchContext,
  {
    seconds,
    minutes,
    load,
    runs,
    megabytes,
  }: Readonly<Record<'seconds' | 'minutes' | 'load' | 'runs' | 'megabytes', string>>,
): Promise<object | null> {
  switch (which) {
    case 'agent':
      return benchAgent(context, Number(seconds));
    case 'clone':
      return benchClone(context, { megabytes: Number(megabytes), runs: Number(runs) });
    case 'start':
      return benchStart(context, Number(runs));
    case 'false-failover': {
      const loads: readonly FalseFailovers['load'][] =
        load === 'idle' || load === 'saturated' ? [load] : ['idle', 'saturated'];
      const results: FalseFailovers[] = [];
      for (const each of loads) results.push(await benchFalseFailover(context, each, Number(minutes)));
      return results;
    }
    default:
      return null;
  }
}

process.exitCode = await main();
