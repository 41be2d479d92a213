import { parseArgs } from 'node:util';
import { z } from 'zod';
import { DrillError } from './errors.ts';
import { type FaultName, faultNames } from './faults/fault.ts';

/** The faults that are drilled when none are named. */
export const defaultFaults: readonly FaultName[] = [
  'kill-database',
  'kill-host',
  'partition',
  'freeze',
  'freeze-agent',
  'kill-agent',
  'store-down',
  'switchover',
];

/** A whole number, with a message that says what is wanted: text that is none arrives as NaN. */
const whole = (min: number, max: number): z.ZodInt =>
  z
    .int(`is not a whole number from ${min} to ${max}`)
    .min(min, `is not a whole number from ${min} to ${max}`)
    .max(max, `is not a whole number from ${min} to ${max}`);

const shape = z.strictObject({
  engine: z.enum(['postgres', 'mysql', 'mariadb']).default('postgres'),
  faults: z
    .array(z.enum(faultNames, `is not one of ${faultNames.join(', ')}`))
    .min(1)
    .default([...defaultFaults]),
  /** How often each fault is injected. */
  runs: whole(1, 100_000).default(5),
  store: z.enum(['local', 'etcd']).default('local'),
  /** `hosts`: three, each on the host of a node and lost with it, as in the guide for three hosts. */
  etcdMembers: z.literal([1, 3, 'hosts'], 'is none of 1, 3 and hosts').default(1),
  nodes: whole(2, 9).default(3),
  durability: z.enum(['sync', 'async']).default('sync'),
  /** Version of the server; `pgVersion` is its older name, for PostgreSQL. */
  serverVersion: z
    .string()
    .regex(/^\d{1,3}(\.\d{1,3}){0,2}$/, 'must be a version such as 17 or 9.7')
    .optional(),
  pgVersion: z
    .string()
    .regex(/^\d{2}$/, 'must be a major version such as 17')
    .optional(),
  binDir: z.string().min(1).optional(),
  hosts: z.enum(['automatic', 'loopback', 'namespaces']).default('automatic'),
  writers: whole(1, 200).default(20),
  /** Time between two inserts of one writer. */
  everyMs: whole(2, 10_000).default(20),
  /** How long a client waits for an answer before it gives up on its connection. */
  deadlineMs: whole(50, 60_000).default(500),
  /** Quiet time with writes before each fault. */
  calmMs: whole(200, 60_000).default(2000),
  /** How often the machine's floor is measured before the faults; 0: not at all. */
  floorRuns: whole(0, 100).default(3),
  /** Busy processes beside which every fault is injected once more as often; 0: not at all. */
  load: whole(0, 64).default(0),
  /** How long the cluster may take to be whole again after a fault was healed. */
  convergeMs: whole(1000, 600_000).default(60_000),
  folder: z.string().min(1).optional(),
  /** Whether the cluster's folder stays after a drill without violations. */
  keep: z.enum(['keep', 'remove']).default('remove'),
  logLevel: z.enum(['info', 'debug']).default('info'),
});

const schema = shape.superRefine(({ engine, serverVersion, pgVersion, store, etcdMembers, nodes }, context) => {
  if (etcdMembers === 'hosts' && (store !== 'etcd' || nodes < 3)) {
    context.addIssue({ code: 'custom', path: ['etcdMembers'], message: 'hosts needs --store etcd and three nodes' });
  }
  if (pgVersion === undefined || (engine === 'postgres' && serverVersion === undefined)) return;
  context.addIssue({
    code: 'custom',
    path: ['pgVersion'],
    message: 'is for PostgreSQL, and alone; use --server-version',
  });
});

export type DrillOptions = z.output<typeof schema>;
export type DrillInput = z.input<typeof schema>;

/** Checks options and fills in the defaults. @throws DrillError `OPTION_INVALID` naming each wrong one. */
export function parseOptions(input: unknown): DrillOptions {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `--${dashed(String(issue.path[0] ?? ''))}: ${issue.message}`);
  throw new DrillError('OPTION_INVALID', `${problems.join('; ')}.`, { next: 'See `understudy drill --help`.' });
}

const dashed = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const flags = {
  engine: { type: 'string' },
  faults: { type: 'string' },
  runs: { type: 'string' },
  store: { type: 'string' },
  'etcd-members': { type: 'string' },
  nodes: { type: 'string' },
  durability: { type: 'string' },
  'server-version': { type: 'string' },
  'pg-version': { type: 'string' },
  'bin-dir': { type: 'string' },
  hosts: { type: 'string' },
  writers: { type: 'string' },
  'every-ms': { type: 'string' },
  'deadline-ms': { type: 'string' },
  'calm-ms': { type: 'string' },
  'converge-ms': { type: 'string' },
  load: { type: 'string' },
  'floor-runs': { type: 'string' },
  'data-dir': { type: 'string' },
  'log-level': { type: 'string' },
  keep: { type: 'boolean' },
  tour: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

export type CommandLine =
  | { readonly kind: 'help' }
  | { readonly kind: 'drill' | 'tour'; readonly options: DrillOptions; readonly output: 'json' | 'text' };

/** Reads the command line of `understudy drill`. @throws DrillError `OPTION_INVALID` */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const values = readFlags(args);
  if (values.help === true) return { kind: 'help' };
  const number = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));
  const given = {
    engine: values.engine,
    faults: faultList(values.faults),
    runs: number(values.runs),
    store: values.store,
    etcdMembers: values['etcd-members'] === 'hosts' ? 'hosts' : number(values['etcd-members']),
    nodes: number(values.nodes),
    durability: values.durability,
    serverVersion: values['server-version'],
    pgVersion: values['pg-version'],
    binDir: values['bin-dir'],
    hosts: values.hosts,
    writers: number(values.writers),
    everyMs: number(values['every-ms']),
    deadlineMs: number(values['deadline-ms']),
    calmMs: number(values['calm-ms']),
    convergeMs: number(values['converge-ms']),
    load: number(values.load),
    floorRuns: number(values['floor-runs']),
    folder: values['data-dir'],
    keep: values.keep === true ? 'keep' : undefined,
    logLevel: values['log-level'],
  };
  const options = parseOptions(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
  return { kind: values.tour === true ? 'tour' : 'drill', options, output: values.json === true ? 'json' : 'text' };
}

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, allowPositionals: false }).values;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new DrillError('OPTION_INVALID', text, { next: 'See `understudy drill --help`.', cause: error });
  }
}

function faultList(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined;
  return text === 'all' ? faultNames : text.split(',').map((name) => name.trim());
}
