/**
 * The conformance suite of the engine port: what every engine has to do, as tests of node:test against real servers. Exported as
 * `@understudy/engine/conformance`, so that an engine kept elsewhere can be held to it too.
 */

import { describe } from 'node:test';
import { cascadeTests } from './cascade.ts';
import { failoverTests } from './failover.ts';
import type { ConformanceHarness } from './harness.ts';
import { lifecycleTests } from './lifecycle.ts';

export type {
  ConformanceClient,
  ConformanceCluster,
  ConformanceHarness,
  ConformanceNode,
  Damage,
  WriteOutcome,
} from './harness.ts';
export { type Attack, attacks, attempt, canary, endOf, pathsBelow, Siege } from './siege.ts';
export { eventually, ids, monotonicMs, onStage, print, Stage } from './steps.ts';

/** Registers the suite for one engine. `atOnce`: how many of its tests run at one time; each has a cluster of its own. */
export function engineConformance(harness: ConformanceHarness, atOnce = 2): void {
  describe(`${harness.name}: lifecycle`, { concurrency: atOnce }, () => lifecycleTests(harness));
  describe(`${harness.name}: failover`, { concurrency: atOnce }, () => failoverTests(harness));
  describe(`${harness.name}: cascade`, { concurrency: atOnce }, () => cascadeTests(harness));
}
