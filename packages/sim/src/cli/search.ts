import { drawScenario } from '../faults/swarm.ts';
import { runScenario } from '../run/run.ts';
import type { Scenario } from '../run/scenario.ts';
import { formatReport, report } from '../run/summary.ts';
import { formatLine } from '../run/trace.ts';
import type { SimOptions } from './args.ts';
import { Progress } from './progress.ts';
import { readRegression } from './scenario-file.ts';
import { runSeeds, type Search } from './shares.ts';
import { describeEnd, describeScenario, explainViolation } from './violation.ts';

const EXPLAINED_MAX = 3;

/** Runs what was asked for and prints it. Returns the exit code: 0 without, 1 with violations. */
export async function search(options: SimOptions): Promise<number> {
  if (options.replay !== null) return showOne(readRegression(options.replay).scenario, options);
  if (options.trace === 'yes') {
    return showOne(drawScenario(options.firstSeed, options), options);
  }
  const before = process.cpuUsage();
  const progress = new Progress(process.stderr, options.seeds);
  const runs = await runSeeds({ ...searchOf(options), onRun: (run) => progress.note(run) });
  progress.end();
  const spent = process.cpuUsage(before);
  const result = report(runs, (spent.user + spent.system) / 1e6);
  process.stdout.write(options.json === 'yes' ? `${JSON.stringify(result)}\n` : `${formatReport(result)}\n`);
  if (options.json === 'no') {
    for (const { seed, rule } of onePerRule(result.violations).slice(0, EXPLAINED_MAX)) {
      process.stdout.write(`\n${explainViolation(seed, rule, options)}\n`);
    }
  }
  return result.violations.length === 0 ? 0 : 1;
}

function searchOf(options: SimOptions): Omit<Search, 'onRun'> {
  const { firstSeed, seeds, jobs, flavour, nodes, durationMs, durability, faults, course, mutant, stopAtFirst } =
    options;
  return { firstSeed, seeds, jobs, flavour, nodes, durationMs, durability, faults, course, mutant, stopAtFirst };
}

function onePerRule<T extends { readonly rule: string }>(violations: readonly T[]): readonly T[] {
  const seen = new Set<string>();
  return violations.filter(({ rule }) => {
    if (seen.has(rule)) return false;
    seen.add(rule);
    return true;
  });
}

/** One scenario, with everything that happens in it. */
function showOne(scenario: Scenario, options: SimOptions): number {
  const result = runScenario(scenario, options.trace === 'yes' ? 'trace' : 'quiet');
  const lines = [describeScenario(scenario, scenario), ...result.trace.map(formatLine), describeEnd(result)];
  process.stdout.write(`${lines.join('\n')}\n`);
  return result.violations.length === 0 ? 0 : 1;
}
