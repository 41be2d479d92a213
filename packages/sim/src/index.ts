export type { Violation } from './checks/checks.ts';
export type { Fault, FaultAction, FaultKind } from './faults/fault.ts';
export { drawScenario, type FaultCourse, type SwarmOptions } from './faults/swarm.ts';
export { type RunResult, runScenario } from './run/run.ts';
export type { Scenario } from './run/scenario.ts';
export { formatLine, type TraceLine } from './run/trace.ts';
