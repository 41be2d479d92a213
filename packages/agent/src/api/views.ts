/** What the agent's own HTTP paths (`/understudy/…`) answer: schemas for clients to check with, and their types. */

import { z } from 'zod';
import { changeSchema } from '../access/audit-lines.ts';
import { encodedPositionSchema } from '../codec/position.ts';

const reasonSchema = z.object({ code: z.string(), text: z.string() });

const ackRuleView = z.object({ members: z.array(z.string()), required: z.number() });

const receiverView = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none') }),
  z.object({ kind: z.literal('broken'), cause: z.string() }),
  z.object({ kind: z.literal('streaming'), silentMs: z.number() }),
]);

const jobView = z.object({
  kind: z.string(),
  sinceMs: z.number(),
  doneBytes: z.number().nullable(),
  totalBytes: z.number().nullable(),
});

const tagsView = z.object({
  nofailover: z.boolean(),
  nosync: z.boolean(),
  noloadbalance: z.boolean(),
  priority: z.number(),
  zone: z.string().nullable(),
  /** How much later than it could it applies what it receives; 0: at once. */
  delayMs: z.number().default(0),
});

export const memberViewSchema = z.object({
  id: z.string(),
  /**
   * `leader`: recorded as the leader. `sync-standby`: a replica whose acknowledgement counts. `replica`: one whose does not.
   * `none`: no server that could serve.
   */
  role: z.enum(['leader', 'sync-standby', 'replica', 'none']),
  /** Kind of the engine's state (`primary`, `replica`, `starting`, `stopped`, …); `unknown` when its agent was never heard. */
  state: z.string(),
  /** How its agent is seen from the one that answers. */
  agent: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('self') }),
    z.object({ kind: z.literal('fresh'), silentMs: z.number() }),
    z.object({ kind: z.literal('silent'), silentMs: z.number().nullable() }),
    z.object({ kind: z.literal('refusing'), forMs: z.number() }),
    z.object({ kind: z.literal('unregistered') }),
  ]),
  /** Whether its session in the store is held. */
  session: z.enum(['held', 'absent']),
  apiUrl: z.string().nullable(),
  host: z.string().nullable(),
  port: z.number().nullable(),
  epoch: z.number().nullable(),
  /** The timeline it is on. */
  lineage: z.number().nullable(),
  /** Everything durable on it, as people read positions. */
  position: z.string().nullable(),
  /** The same with its whole history, as programs compare it. Absent in what older agents say. */
  encodedPosition: encodedPositionSchema.nullable().optional(),
  replayed: z.string().nullable(),
  /** What it has not received, and not replayed, of the leader's log. */
  receiveLagBytes: z.number().nullable(),
  replayLagBytes: z.number().nullable(),
  /** How old the newest of the leader's writes is that it shows; 0 when it shows all; `lagIsAtLeast` when the true value may be larger. */
  replayLagMs: z.number().nullable(),
  lagIsAtLeast: z.boolean(),
  /** Whom it receives from, and the replica that the configuration wants it under while the present leader leads; null: the leader itself. */
  upstream: z.string().nullable(),
  wantedUpstream: z.string().nullable(),
  /** What it has not received of its upstream's log, and how much older what it shows is than what its upstream shows: this hop alone. */
  hopLagBytes: z.number().nullable(),
  hopLagMs: z.number().nullable(),
  receiver: receiverView.nullable(),
  suspects: z.number().nullable(),
  sealed: z.number().nullable(),
  tags: tagsView,
  /** What it does or waits for, and why. */
  reasons: z.array(reasonSchema),
  job: jobView.nullable(),
  version: z.string().nullable(),
  pendingRestart: z.array(z.string()),
  warnings: z.array(z.string()),
  /** Log that its server keeps back for replication slots, by slot, in bytes. */
  retainedBytes: z.record(z.string(), z.number()).default({}),
});

export const rpoSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('zero-proven'), text: z.string() }),
  z.object({ kind: z.literal('zero-assumed'), text: z.string(), assumption: z.string() }),
  z.object({ kind: z.literal('bounded'), text: z.string(), bytes: z.number().nullable(), ms: z.number().nullable() }),
  z.object({ kind: z.literal('unknown'), text: z.string() }),
]);

export const requestViewSchema = z.object({
  id: z.string(),
  kind: z.enum(['switchover', 'failover', 'reinit', 'restart']),
  /** The request as it was asked for, in words. */
  text: z.string(),
  notBeforeWallMs: z.number().nullable(),
});

export const outcomeViewSchema = z.object({
  id: z.string(),
  kind: z.enum(['switchover', 'failover', 'reinit', 'restart']),
  result: z.enum(['done', 'refused', 'failed']),
  reason: z.string(),
  wallMs: z.number(),
});

/** `GET /understudy/status` */
export const statusViewSchema = z.object({
  cluster: z.string(),
  engine: z.string(),
  /** The member that answers; everything is as it sees it. */
  answeredBy: z.string(),
  wallMs: z.number(),
  systemId: z.string().nullable(),
  epoch: z.number().nullable(),
  leader: z.string().nullable(),
  /** `none`: no leadership was ever recorded. */
  phase: z.enum(['none', 'promoting', 'open']),
  since: z.object({ wallMs: z.number(), cause: z.string() }).nullable(),
  durability: z.enum(['sync', 'async']),
  rule: ackRuleView.nullable(),
  moving: ackRuleView.nullable(),
  paused: z.boolean(),
  store: z.object({
    kind: z.enum(['never', 'current', 'stale']),
    silentMs: z.number().nullable(),
    name: z.string(),
    problem: z.string().nullable(),
    /** It answers reads, and why it refused the last write; absent in what older agents say. */
    refusedWrite: z.string().nullish(),
  }),
  rpo: rpoSchema,
  /** Which hosts could be lost now, in a few words; null before the first decision, absent where an older agent answers. */
  losses: z.string().nullable().optional(),
  members: z.array(memberViewSchema),
  request: requestViewSchema.nullable(),
  lastOutcome: outcomeViewSchema.nullable(),
  warnings: z.array(z.string()),
});

const proofOutlookSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('seals'),
    verdict: z.enum(['met', 'missing']),
    rule: z.string(),
    needed: z.number(),
    of: z.array(z.string()),
    available: z.array(z.string()),
    missing: z.array(z.string()),
  }),
  z.object({ kind: z.literal('alone'), verdict: z.literal('missing') }),
  z.object({
    kind: z.literal('lease'),
    verdict: z.enum(['met', 'missing']),
    afterMs: z.number(),
    lossMaxBytes: z.number(),
  }),
]);

/** What would happen if the leader's host vanished now, asked of the election itself (core's `FailoverOutlook`). */
export const outlookSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('unknown'), why: z.string() }),
  z.object({
    kind: z.literal('known'),
    epoch: z.number(),
    leader: z.string(),
    successor: z.string().nullable(),
    paused: z.enum(['yes', 'no']),
    proof: proofOutlookSchema,
    candidates: z.array(
      z.object({
        member: z.string(),
        standing: z.enum(['first', 'next', 'out']),
        code: z.string(),
        why: z.string(),
        position: z.string().nullable(),
        behindBytes: z.number().nullable(),
      }),
    ),
    /** Which hosts could be lost at one moment: absent where an older agent answers. */
    losses: z.object({ one: z.array(z.string()), two: z.array(z.array(z.string())), text: z.string() }).optional(),
  }),
]);

/** `GET /understudy/explain`: the latest decision of the member that answers. */
/** What one member keeps of replaced data. */
export const keptViewSchema = z.object({
  member: z.string(),
  /** Why no further copy is made by itself there; null: nothing stands against one. */
  held: z.string().nullable(),
  folders: z.array(
    z.object({
      name: z.string(),
      path: z.string(),
      kind: z.enum(['aside', 'fork']),
      bytes: z.number(),
      history: z.enum(['contained', 'unproven']),
      why: z.string(),
      sinceWallMs: z.number(),
    }),
  ),
});
export type KeptView = z.output<typeof keptViewSchema>;

export const explainViewSchema = z.object({
  member: z.string(),
  wallMs: z.number(),
  /** How long ago this decision was taken, and how long it has been the same. */
  agoMs: z.number(),
  sameForMs: z.number(),
  epoch: z.number().nullable(),
  suspects: z.number().nullable(),
  authority: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('none') }),
    z.object({ kind: z.literal('primary'), forMs: z.number() }),
  ]),
  /** What it does now, in order, in words. */
  commands: z.array(z.string()),
  /** Why it takes the leader for dead; null when it does not. */
  suspicion: reasonSchema.nullable(),
  reasons: z.array(reasonSchema),
  failures: z.array(z.object({ command: z.string(), agoMs: z.number(), code: z.string(), message: z.string() })),
  /** Parameters that its server takes over only when it is restarted. */
  pendingRestart: z.array(z.string()).default([]),
  session: z.string(),
  guard: z.string(),
  outlook: outlookSchema,
});

/** `GET /understudy/history` */
export const historyViewSchema = z.array(
  z.object({
    epoch: z.number(),
    leader: z.string(),
    lineage: z.number(),
    cause: z.string(),
    chosenAt: z.string().nullable(),
    wallMs: z.number(),
  }),
);

/** `GET /understudy/requests/:id`, and the answer to requests that were waited for. */
export const requestStateSchema = z.discriminatedUnion('state', [
  z.object({ state: z.literal('pending'), request: requestViewSchema }),
  z.object({ state: z.literal('ended'), outcome: outcomeViewSchema }),
]);

/** Every answer that is not a success. */
export const apiErrorSchema = z.object({
  code: z.string(),
  /** What happened and why, with the values seen. */
  message: z.string(),
  /** What to do now. */
  next: z.string(),
  problems: z
    .array(z.object({ key: z.string(), line: z.number().nullable().optional(), message: z.string(), fix: z.string() }))
    .optional(),
});

/** What reading a node's file again has changed: dotted names of settings. */
export const reloadViewSchema = z.object({
  reload: z.enum(['done', 'nothing-new']),
  applied: z.array(z.string()),
  /** Changed in the file, and not in force before the agent is started again. */
  needsRestart: z.array(z.string()),
});

export type Rpo = z.infer<typeof rpoSchema>;
export type MemberView = z.infer<typeof memberViewSchema>;
export type StatusView = z.infer<typeof statusViewSchema>;
export type Outlook = z.infer<typeof outlookSchema>;
export type ExplainView = z.infer<typeof explainViewSchema>;
export type HistoryView = z.infer<typeof historyViewSchema>;
export type RequestView = z.infer<typeof requestViewSchema>;
export type OutcomeView = z.infer<typeof outcomeViewSchema>;
export type RequestState = z.infer<typeof requestStateSchema>;
export type ReloadView = z.infer<typeof reloadViewSchema>;
export type ApiError = z.infer<typeof apiErrorSchema>;

/** `POST /understudy/store/restore`: what was done, or would be. */
export const restoreViewSchema = z.object({
  restored: z.boolean(),
  summary: z.string(),
  epoch: z.number(),
  losses: z.array(z.string()),
});
export type RestoreView = z.output<typeof restoreViewSchema>;

/** `GET /understudy/changes`: what was changed through the agent of `member`, oldest first. */
export const changesViewSchema = z.object({ member: z.string(), changes: z.array(changeSchema) });
export type ChangesView = z.output<typeof changesViewSchema>;

/** `GET /understudy/secrets`: what one member has of its own. Secrets have ids, by which one is told from the next. */
export const secretsViewSchema = z.object({
  member: z.string(),
  /** Of the API; `NAME.next` and `NAME.last` while one is changed. */
  tokens: z.array(z.object({ role: z.enum(['view', 'operate', 'admin']), name: z.string() })),
  /** Its login for replication; null: its engine's members share one. */
  replication: z
    .object({
      login: z.string(),
      /** `changing`: the one before is still accepted. */
      state: z.enum(['settled', 'changing']),
      /** Whether it may also use the account that all members share, as those of an older version do. */
      shared: z.enum(['in-use', 'left']),
      problem: z.string().nullable(),
    })
    .nullable(),
});
export type SecretsView = z.output<typeof secretsViewSchema>;
