import { z } from 'zod';

const milliseconds = z.number().int().min(0);
/** What `--json` promises, to the letter. */
export const reportSchema = z.strictObject({
  engine: z.enum(['postgres', 'mysql', 'mariadb']),
  version: z.string().regex(/^\d+\.\d+/),
  store: z.enum(['local', 'etcd']),
  durability: z.literal('sync'),
  machine: z.string().min(1),
  floorMs: z
    .strictObject({ min: milliseconds, p50: milliseconds, max: milliseconds, runs: z.number().int() })
    .nullable(),
  faults: z.array(
    z.strictObject({
      fault: z.string(),
      runs: z.number(),
      outageMs: z.strictObject({ min: milliseconds, p50: milliseconds, max: milliseconds }),
      outageFloors: z.strictObject({
        min: z.number().nullable(),
        p50: z.number().nullable(),
        max: z.number().nullable(),
      }),
      phasesMs: z.record(z.enum(['detect', 'seal', 'choose', 'promote', 'reconnect']), milliseconds.nullable()),
      acked: z.number().int(),
      lost: z.number().int(),
      notCompared: z.number().int(),
      resurrected: z.number().int(),
      unknown: z.number().int(),
      dualAck: z.number().int(),
      unprotected: z.number().int(),
      dualWritableMsMax: milliseconds,
      converged: z.boolean(),
      whole: z.strictObject({
        runs: z.number().int(),
        afterMs: z.strictObject({ min: milliseconds, p50: milliseconds, max: milliseconds }),
      }),
      load: z.strictObject({ busy: z.number().int(), timesQuiet: z.number().nullable() }).optional(),
      problems: z.array(z.strictObject({ run: z.number().int(), text: z.string() })),
    }),
  ),
});
