/** The cluster's dynamic configuration: ranges, the rules between settings, and changes to it. */

import { type ClusterConfig, circleAmong, DEFAULT_CONFIG, memberId } from '@understudy/core';
import { z } from 'zod';
import { memberNameSchema } from './member-name.ts';
import { ConfigError, type ConfigProblem, explainIssues } from './problems.ts';

const KIB = 1024;
const GIB = 1024 ** 3;

const durationMs = (minMs: number, maxMs: number) => z.number().int().min(minMs).max(maxMs);
const sizeBytes = (min: number, max: number) => z.number().int().min(min).max(max);

/** Names and values of server parameters. Values are text; numbers and booleans are accepted and written as text. */
export const parametersSchema = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_.$]{0,127}$/, 'a parameter name has letters, digits, "_" and "."'),
  z.union([z.string().max(4096), z.number(), z.boolean()]).transform(String),
);

/** For members by name, the member that each is wanted under. */
const upstreamsSchema = z.record(memberNameSchema, memberNameSchema.transform(memberId));

const shape = {
  durability: z.enum(['sync', 'async']),
  requiredAcks: z.number().int().min(1).max(8),
  whenShort: z.enum(['block', 'degrade']),
  degradeAfterMs: durationMs(200, 3_600_000),
  maxLagOnFailoverBytes: sizeBytes(0, 1024 * GIB),
  suspectAfterMs: durationMs(200, 60_000),
  leaseTtlMs: durationMs(1_000, 300_000),
  ackerGoneMs: durationMs(200, 600_000),
  ackerLagBytes: sizeBytes(64 * KIB, 1024 * GIB),
  switchoverTimeoutMs: durationMs(500, 600_000),
  electionStaggerMs: durationMs(0, 10_000),
  rejoin: z.enum(['automatic', 'manual']),
  upstreams: upstreamsSchema,
  synchronousCommit: z.enum(['on', 'remote_apply', 'remote_write', 'local']),
  parameters: parametersSchema,
};

/** The whole configuration; unknown keys and rules broken between settings are issues. */
export const clusterConfigSchema = z.strictObject(shape).superRefine(checkRules);

/** As it lies in the store: fields of newer versions are ignored, those of older ones take their defaults. */
export const storedClusterConfigSchema: z.ZodType<ClusterConfig> = z.preprocess(
  (stored) => (typeof stored === 'object' && stored !== null ? { ...DEFAULT_CONFIG, ...stored } : stored),
  z.object(shape).superRefine(checkRules),
);

/** A change: every setting optional; `null` puts a setting back to its default (in `parameters` and `upstreams`: removes it). */
export const clusterConfigPatchSchema = z.strictObject({
  durability: shape.durability.nullish(),
  requiredAcks: shape.requiredAcks.nullish(),
  whenShort: shape.whenShort.nullish(),
  degradeAfterMs: shape.degradeAfterMs.nullish(),
  maxLagOnFailoverBytes: shape.maxLagOnFailoverBytes.nullish(),
  suspectAfterMs: shape.suspectAfterMs.nullish(),
  leaseTtlMs: shape.leaseTtlMs.nullish(),
  ackerGoneMs: shape.ackerGoneMs.nullish(),
  ackerLagBytes: shape.ackerLagBytes.nullish(),
  switchoverTimeoutMs: shape.switchoverTimeoutMs.nullish(),
  electionStaggerMs: shape.electionStaggerMs.nullish(),
  rejoin: shape.rejoin.nullish(),
  upstreams: z.record(z.string(), z.union([z.string(), z.null()])).nullish(),
  synchronousCommit: shape.synchronousCommit.nullish(),
  parameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).nullish(),
});
export type ClusterConfigPatch = z.infer<typeof clusterConfigPatchSchema>;

/** How often an agent renews its lease: a quarter of its time to live, so that three renewals may be lost. */
export const renewIntervalMs = (config: Pick<ClusterConfig, 'leaseTtlMs'>): number => config.leaseTtlMs / 4;

/** How often an agent looks and is heard: four times within the time after which it is suspected, at most every 250 ms. */
export const tickMs = (config: Pick<ClusterConfig, 'suspectAfterMs'>): number =>
  Math.min(250, config.suspectAfterMs / 4);

function checkRules(config: ClusterConfig, context: z.RefinementCtx): void {
  const refuse = (key: keyof ClusterConfig, message: string) =>
    context.addIssue({ code: 'custom', path: [key], message });
  if (config.leaseTtlMs < 2 * config.suspectAfterMs) {
    refuse('leaseTtlMs', `must be at least twice suspectAfterMs (${2 * config.suspectAfterMs})`);
  }
  if (config.degradeAfterMs < config.ackerGoneMs && config.whenShort === 'degrade') {
    refuse('degradeAfterMs', `must not be shorter than ackerGoneMs (${config.ackerGoneMs})`);
  }
  if (config.durability === 'sync' && config.synchronousCommit === 'local') {
    refuse('synchronousCommit', '"local" acknowledges without any replica, which is what durability "async" says');
  }
  const circle = circleAmong(config.upstreams);
  if (circle !== null) refuse('upstreams', `leads in a circle: ${circle.join(' under ')}`);
  if (config.electionStaggerMs >= config.leaseTtlMs) refuse('electionStaggerMs', 'must be shorter than leaseTtlMs');
}

/**
 * Checks a whole configuration of unknown origin; settings that are missing take their defaults.
 * @param source what to call it in messages, e.g. a file name
 * @throws ConfigError that names each wrong setting
 */
export function parseClusterConfig(input: unknown, source: string): ClusterConfig {
  const withDefaults = typeof input === 'object' && input !== null ? { ...DEFAULT_CONFIG, ...input } : input;
  const parsed = clusterConfigSchema.safeParse(withDefaults);
  if (parsed.success) return parsed.data;
  throw new ConfigError(source, withHints(explainIssues(clusterConfigSchema, parsed.error, withDefaults, () => null)));
}

/**
 * Applies a change to `current`.
 * @param patch any of the settings; `null` means the default
 * @throws ConfigError when the change or its result is wrong; nothing is changed then
 */
export function patchClusterConfig(current: ClusterConfig, patch: unknown, source: string): ClusterConfig {
  const parsed = clusterConfigPatchSchema.safeParse(patch);
  if (!parsed.success) {
    throw new ConfigError(source, withHints(explainIssues(clusterConfigPatchSchema, parsed.error, patch, () => null)));
  }
  const { parameters, upstreams, ...settings } = parsed.data;
  const changed: Record<string, unknown> = { ...current };
  for (const [key, value] of Object.entries(settings)) {
    if (value !== undefined) changed[key] = value === null ? Reflect.get(DEFAULT_CONFIG, key) : value;
  }
  if (parameters !== undefined) changed.parameters = merge(current.parameters, parameters);
  if (upstreams !== undefined) changed.upstreams = merge(current.upstreams, upstreams);
  return parseClusterConfig(changed, source);
}

function merge(
  current: Readonly<Record<string, string>>,
  patch: NonNullable<ClusterConfigPatch['parameters']> | null,
): Record<string, string> {
  if (patch === null) return {};
  const merged: Record<string, string> = { ...current };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = String(value);
  }
  return merged;
}

/** What people who come from Patroni look for, by its names there. */
const PATRONI_NAMES: Readonly<Record<string, string>> = {
  ttl: 'Here it is leaseTtlMs, in milliseconds.',
  loop_wait: 'There is no loop to wait for: agents act when something happens.',
  retry_timeout: 'It follows from leaseTtlMs.',
  maximum_lag_on_failover: 'Here it is maxLagOnFailoverBytes.',
  synchronous_mode: 'Here it is durability: sync or async.',
  synchronous_mode_strict: 'Here it is whenShort: block.',
  synchronous_node_count: 'Here it is requiredAcks.',
  postgresql: 'Server parameters go into parameters.',
  failsafe_mode: 'It is always on: a primary that collects its acknowledgements goes on without the store.',
  pause: 'Use POST /understudy/pause.',
};

function withHints(problems: readonly ConfigProblem[]): readonly ConfigProblem[] {
  return problems.map((problem) => {
    const hint = Object.hasOwn(PATRONI_NAMES, problem.key) ? PATRONI_NAMES[problem.key] : undefined;
    return hint === undefined ? problem : { ...problem, fix: hint };
  });
}
