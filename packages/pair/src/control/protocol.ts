import { z } from 'zod';

const side = z.enum(['n1', 'n2']);
const timeoutMs = z.int().min(50).max(86_400_000);

/** What a command may ask of the process that runs a pair. */
export const requestSchema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('status') }),
  z.strictObject({ op: z.literal('switch'), to: side.nullable(), timeoutMs }),
  z.strictObject({ op: z.literal('writers'), writers: z.enum(['one', 'both']), timeoutMs }),
  z.strictObject({ op: z.literal('check'), timeoutMs }),
  z.strictObject({ op: z.literal('plan'), id: z.string().max(2000), keep: side }),
  z.strictObject({ op: z.literal('repair'), id: z.string().max(2000), keep: side, timeoutMs }),
]);
export type PairRequest = z.infer<typeof requestSchema>;

const rowSchema = z.record(z.string(), z.string().nullable()).nullable();

/** One thing on which the two servers do not agree, and which only a person can decide. */
export const problemSchema = z.object({
  /** `apart`, `stop`, or `row:<schema>.<table>:<key>`. */
  id: z.string(),
  kind: z.enum(['apart', 'stop', 'row', 'table']),
  text: z.string(),
  table: z.string().nullable(),
  /** Which unique key or rule is concerned; null when none is. */
  key: z.string().nullable(),
  /** The row as each server has it; null: it has none. For a stop, also what the other one sent. */
  rows: z.array(z.object({ side, what: z.string(), row: rowSchema })),
  artifact: z.string().nullable(),
});
export type Problem = z.infer<typeof problemSchema>;

const threadSchema = z.object({ state: z.string(), error: z.string().nullable() });

const nodeSchema = z.object({
  name: side,
  host: z.string(),
  port: z.int(),
  pid: z.int().nullable(),
  role: z.enum(['active', 'passive']),
  /** `unwatched`: its process is there, and no process of ours that would know more. */
  state: z.enum(['serving', 'starting', 'silent', 'unwatched', 'down']),
  writes: z.enum(['open', 'closed', 'unknown']),
  position: z.string().nullable(),
  /** Transactions of the other server that this one has not executed, and of these, those that it has not even received. */
  behind: z.number().nullable(),
  unreceived: z.number().nullable(),
  receiver: threadSchema.nullable(),
  applier: threadSchema.nullable(),
  serverId: z.int(),
  autoIncrement: z.object({ increment: z.int(), offset: z.int() }),
  gtidDomain: z.int().nullable(),
});

export const statusSchema = z.object({
  name: z.string(),
  topology: z.literal('circular'),
  engine: z.enum(['mysql', 'mariadb']),
  version: z.string(),
  folder: z.string(),
  /** Of the process that runs it; null: none does. */
  supervisorPid: z.int().nullable(),
  active: side,
  writers: z.enum(['one', 'both']),
  /** Whether everything is as it should be. */
  whole: z.boolean(),
  nodes: z.array(nodeSchema),
  problems: z.array(problemSchema),
  /** What is being waited for, and what failed lately. */
  notes: z.array(z.string()),
  /** What this mode does not protect against, in sentences. */
  limits: z.array(z.string()),
  comparison: z.object({
    /** ISO 8601; null: not yet. */
    lastPassAt: z.string().nullable(),
    rows: z.number(),
    tables: z.number(),
    everyS: z.int(),
    remarks: z.array(z.string()),
  }),
  events: z.array(z.object({ at: z.string(), tone: z.enum(['good', 'plain', 'warn', 'bad']), text: z.string() })),
});
export type PairStatus = z.infer<typeof statusSchema>;
export type PairNode = z.infer<typeof nodeSchema>;

export const switchResultSchema = z.object({ active: side, pauseMs: z.number() });
export const writersResultSchema = z.object({ writers: z.enum(['one', 'both']) });
export const checkResultSchema = z.object({
  tables: z.number(),
  rows: z.number(),
  /** Tables that were not compared row by row, and why. */
  remarks: z.array(z.string()),
  problems: z.array(problemSchema),
});
export type CheckResult = z.infer<typeof checkResultSchema>;
export const planSchema = z.object({ id: z.string(), problem: problemSchema, steps: z.array(z.string()) });
export type RepairPlan = z.infer<typeof planSchema>;
export const repairResultSchema = z.object({
  id: z.string(),
  done: z.array(z.string()),
  artifact: z.string().nullable(),
});
export type RepairResult = z.infer<typeof repairResultSchema>;

export const answerSchema = z.union([
  z.strictObject({ value: z.unknown() }),
  z.strictObject({
    error: z.strictObject({
      code: z.string(),
      message: z.string(),
      // Versions up to 0.1.0 gave the message alone.
      problem: z.string().optional(),
      next: z.string().optional(),
      retry: z.enum(['safe', 'unsafe', 'unknown']),
    }),
  }),
]);
