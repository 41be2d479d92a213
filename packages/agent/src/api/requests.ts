/** What the bodies of the mutating paths look like. */

import { z } from 'zod';
import { memberNameSchema } from '../config/member-name.ts';

const waitMs = z.number().int().min(0).max(600_000);
const timeoutMs = z.number().int().min(500).max(3_600_000);

/** `POST /switchover`. Patroni's `leader` and `candidate` are taken as well as `from` and `to`. */
export const switchoverBodySchema = z.strictObject({
  from: memberNameSchema.nullish(),
  to: memberNameSchema.nullish(),
  leader: memberNameSchema.nullish(),
  candidate: memberNameSchema.nullish(),
  /** ISO 8601 with zone, e.g. `2027-01-31T03:00:00+01:00`: not before then. */
  scheduled_at: z.iso.datetime({ offset: true }).nullish(),
  /** How long writes may be stopped before everything is undone. */
  timeoutMs: timeoutMs.optional(),
  /** How long the answer may take; 0 answers at once with the request's id. */
  waitMs: waitMs.optional(),
});

/** `POST /failover`. */
export const failoverBodySchema = z.strictObject({
  to: memberNameSchema.nullish(),
  candidate: memberNameSchema.nullish(),
  leader: memberNameSchema.nullish(),
  /** `quorum`: only with proof that nothing acknowledged is lost. `override`: whatever is lost. */
  proof: z.enum(['quorum', 'override']).default('quorum'),
  timeoutMs: timeoutMs.optional(),
  waitMs: waitMs.optional(),
});

/** `POST /reinitialize` and `POST /restart`. Without `member`: the one that is asked. */
export const memberBodySchema = z.looseObject({
  member: memberNameSchema.nullish(),
  /** A restart: also when all writes would wait for this member meanwhile. */
  force: z.boolean().optional(),
  /** How long a restarted server may take to be back as it was. */
  timeoutMs: timeoutMs.optional(),
  waitMs: waitMs.optional(),
});

/** `POST /understudy/copy`: who asks, and what its own server is. */
export const copyBodySchema = z.strictObject({
  member: memberNameSchema,
  engine: z.string().max(40),
  version: z.string().regex(/^\d{1,5}(\.\d{1,5}){0,3}$/, 'must be a version such as "11.8.6"'),
});

/** `POST /understudy/store/restore`. */
export const restoreBodySchema = z.strictObject({
  from: z.enum(['primary', 'members']).default('primary'),
  /** `only`: say what would be done and what could be lost, and do nothing. */
  plan: z.enum(['only', 'and-do']).default('and-do'),
  /** The epoch of the plan that was looked at: nothing is done by another one. */
  epoch: z.number().int().min(1).optional(),
  /** What could be lost may be lost. */
  force: z.boolean().default(false),
});

/** `POST /understudy/secrets/rotate` */
export const rotateBodySchema = z.strictObject({ what: z.literal('replication') });

const tokenName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,57}$/);

/** `POST /understudy/secrets/token`: one step of the change of a token. */
export const tokenStepSchema = z.discriminatedUnion('step', [
  z.strictObject({ step: z.literal('accept'), name: tokenName, secret: z.string().regex(/^\S{16,200}$/) }),
  z.strictObject({ step: z.literal('use'), name: tokenName }),
  z.strictObject({ step: z.literal('drop'), name: tokenName }),
]);

/** `POST /understudy/detach`: end the agent and leave the server running. */
export const detachBodySchema = z.strictObject({ reason: z.string().max(200).optional() });

export type SwitchoverBody = z.input<typeof switchoverBodySchema>;
export type FailoverBody = z.input<typeof failoverBodySchema>;
export type MemberBody = z.input<typeof memberBodySchema>;
