import type { Mutant } from './mutant.ts';

/** Wrong ways to let go of the end of a server's own log. */
export const LOG_END_MUTANTS: readonly Mutant[] = [
  {
    name: 'recorded-leader-cut-back',
    description:
      'A fallen leader drops the end of its log although the record still names it: replicas acknowledged that.',
    edits: [
      {
        file: 'core/src/leader/leader-not-open.ts',
        find: `[{ kind: 'start', end: KEEP_END }]`,
        replace: `[
    { kind: 'start', end: { kind: 'discard', before: (ctx.record.value.epoch + 1) as typeof ctx.record.value.epoch } },
  ]`,
      },
    ],
    hunt: { withinSeeds: 50, flavour: 'mariadb' },
  },
  {
    name: 'cut-back-after-receiving',
    description: 'A server that once led is cut back although it has received, and acknowledged, as a replica since.',
    edits: [
      {
        file: 'sim/src/agent/gtid-commands.ts',
        find: `    server.opened = null;
`,
        replace: '',
      },
    ],
    hunt: { withinSeeds: 300, flavour: 'mariadb' },
  },
  {
    name: 'cut-back-by-old-record',
    description:
      'A server is cut back because a record names another leader, although it was opened for a later epoch.',
    edits: [
      {
        file: 'sim/src/agent/log-end.ts',
        find: `server.opened !== null && server.opened < end.before ?`,
        replace: `server.opened !== null ?`,
      },
    ],
    hunt: {
      withinSeeds: 200,
      flavour: 'mariadb',
      faults: ['isolate', 'cut-store', 'freeze-host', 'at-command', 'kill-database', 'reinit'],
    },
  },
  {
    name: 'cut-back-before-opened',
    description:
      'A fallen leader drops the end of its log as soon as another one was elected, which has opened nothing yet.',
    edits: [
      {
        file: 'core/src/replica/follow.ts',
        find: `return holdersOfOpening(ctx) >= rule.required ? {`,
        replace: `return rule.required >= 0 ? {`,
      },
    ],
    hunt: { withinSeeds: 50, flavour: 'mariadb' },
  },
];
