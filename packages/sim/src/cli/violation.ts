import { describeFault } from '../faults/fault.ts';
import { drawScenario } from '../faults/swarm.ts';
import { type RunResult, runScenario } from '../run/run.ts';
import type { Scenario } from '../run/scenario.ts';
import { shrink } from '../run/shrink.ts';
import { formatLine } from '../run/trace.ts';
import type { SimOptions } from './args.ts';
import { writeRegression } from './scenario-file.ts';

const TRACE_TAIL = 40;

/** Everything that is known about one violation: the parameters, the smallest scenario that still shows it, and the end of its trace. */
export function explainViolation(seed: number, rule: string, options: SimOptions): string {
  const drawn = drawScenario(seed, options);
  const sameRule = (candidate: Scenario): boolean =>
    runScenario(candidate, 'quiet').violations.some((violation) => violation.rule === rule);
  const scenario = options.shrink === 'yes' ? shrink(drawn, sameRule) : drawn;
  const result = runScenario(scenario, 'trace');
  const name = `${rule}-${seed}${options.mutant === null ? '' : `-${options.mutant}`}`;
  const story = `${result.violations[0]?.text ?? ''}`;
  const written = options.mutant === null ? writeRegression({ name, story, rule, scenario }) : null;
  return [
    describeScenario(scenario, drawn),
    ...result.trace.slice(-TRACE_TAIL).map(formatLine),
    describeEnd(result),
    ...(written === null ? [] : [`Written to ${written}: it is replayed by the tests from now on.`]),
    `Again: npm run sim -- --seed ${seed} --trace${options.nodes === null ? '' : ` --nodes ${options.nodes}`}`,
  ].join('\n');
}

export function describeScenario(scenario: Scenario, drawn: Scenario): string {
  const { faults, ...parameters } = scenario;
  return [
    `seed ${scenario.seed}: ${drawn.faults.length} faults, of which ${faults.length} are needed`,
    ...Object.entries(parameters).map(([name, value]) => `  ${name} ${JSON.stringify(value)}`),
    ...faults.map((fault) => `  at ${(fault.at / 1000).toFixed(3)} s ${describeFault(fault)}`),
  ].join('\n');
}

export function describeEnd(result: RunResult): string {
  const [violation] = result.violations;
  if (violation === undefined) return 'No violation.';
  return `${(violation.atMs / 1000).toFixed(3)} s: ${violation.rule}: ${violation.text}`;
}
