import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { FAULT_KINDS, type Fault } from '../faults/fault.ts';
import type { Scenario } from '../run/scenario.ts';
import { FLAVOURS } from '../server/flavour.ts';

/** A scenario that once broke a promise, kept so that it is replayed for ever. */
export interface Regression {
  readonly name: string;
  /** What was wrong, and where it was put right. */
  readonly story: string;
  readonly rule: string;
  readonly scenario: Scenario;
}

const duration = z.number().nonnegative();
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;

function isFault(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('at' in value) || !('kind' in value)) return false;
  return typeof value.at === 'number' && FAULT_KINDS.some((kind) => kind === value.kind);
}

const scenarioSchema = z.object({
  seed: z.number().int(),
  // Files from before there were others.
  flavour: z.enum(FLAVOURS).default('postgres'),
  nodes: z.number().int().min(2).max(9),
  durationMs: duration,
  settleMs: duration,
  idleMs: duration,
  config: z.custom<Scenario['config']>(isObject),
  tags: z.array(z.custom<Scenario['tags'][number]>(isObject)),
  net: z.object({ linkMs: duration, jitterMs: duration, spikeShare: z.number(), spikeMs: duration }),
  clocks: z.array(z.object({ rate: z.number().positive(), wallOffsetMs: z.number() })),
  bootDelaysMs: z.array(duration),
  storeClockRate: z.number().positive(),
  writesPerSecond: z.number().positive(),
  burstPerSecond: z.number().nonnegative(),
  writeBytes: z.number().positive(),
  canRewind: z.enum(['yes', 'no']),
  startLsn: z.number().nonnegative(),
  streamTimeoutMs: duration,
  faults: z.array(z.custom<Fault>(isFault, 'not a fault of a known kind')),
});

const regressionSchema = z.object({
  name: z.string(),
  story: z.string(),
  rule: z.string(),
  scenario: scenarioSchema,
});

/** Where regressions are kept. */
export const REGRESSIONS = fileURLToPath(new URL('../../../../tests/regressions/', import.meta.url));

/** Reads a regression. Throws with the place of the mistake when the file is not one. */
export function readRegression(file: string): Regression {
  const parsed = regressionSchema.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (!parsed.success) throw new Error(`${file} is not a regression:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** Writes a regression and returns the path of its file. */
export function writeRegression(regression: Regression): string {
  mkdirSync(REGRESSIONS, { recursive: true });
  const file = `${REGRESSIONS}${regression.name}.json`;
  writeFileSync(file, `${JSON.stringify(regression, null, 2)}\n`);
  return file;
}
