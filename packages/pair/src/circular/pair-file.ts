import { join } from 'node:path';
import { findFreePorts, isPortFree, newClusterId, putFile, readText } from '@understudy/local/parts';
import { z } from 'zod';
import { type SideName, sideNames } from '../decide/sides.ts';
import { PairError } from '../errors.ts';

const side = z.enum(['n1', 'n2']);
const port = z.int().min(1).max(65_535);

const apartSchema = z.strictObject({
  side,
  transactions: z.string(),
  count: z.number().min(0),
  artifact: z.string().nullable(),
  rows: z
    .array(z.object({ side, what: z.string(), row: z.record(z.string(), z.string().nullable()).readonly().nullable() }))
    .readonly(),
  sinceMs: z.number(),
});

const eventSchema = z.strictObject({
  at: z.string(),
  tone: z.enum(['good', 'plain', 'warn', 'bad']),
  text: z.string(),
});

/** What has to stay the same from one start of a pair to the next. */
const pairFileSchema = z.strictObject({
  format: z.literal(1),
  topology: z.literal('circular'),
  /** Random: tells its processes from those of every other. */
  id: z.string().regex(/^[0-9a-f]{8}$/),
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
  engine: z.enum(['mysql', 'mariadb']),
  version: z.string().regex(/^\d{1,3}(\.\d{1,3})?$/),
  nodes: z.strictObject({ n1: z.strictObject({ dbPort: port }), n2: z.strictObject({ dbPort: port }) }),
  active: side,
  writers: z.enum(['one', 'both']),
  apart: apartSchema.nullable(),
  uncompared: side.optional(),
  checkEveryS: z.int().min(1).max(86_400),
  events: z.array(eventSchema).max(200),
});

export type PairFile = z.infer<typeof pairFileSchema>;
export type PairEvent = z.infer<typeof eventSchema>;

/** The file by which a folder is recognised as that of a pair. */
export const pairFileName = 'pair.json';
const eventsKept = 100;
const loopback = '127.0.0.1';

/**
 * Reads the file of a pair.
 *
 * @returns null when the folder has none.
 * @throws PairError `PAIR_STATE_INVALID`
 */
export async function readPairFile(folder: string): Promise<PairFile | null> {
  const path = join(folder, pairFileName);
  const text = await readText(path);
  if (text === null) return null;
  const parsed = pairFileSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || '(whole)'}: ${issue.message}`);
  const what = `${path} is damaged or of another version (${problems.slice(0, 3).join('; ')}).`;
  throw new PairError('PAIR_STATE_INVALID', what, { next: 'Choose another folder, or remove this one with its data.' });
}

export async function writePairFile(folder: string, file: PairFile): Promise<void> {
  await putFile(join(folder, pairFileName), `${JSON.stringify(file, null, 2)}\n`);
}

export interface NewPair {
  readonly name: string;
  readonly engine: 'mysql' | 'mariadb';
  readonly version: string;
  readonly writers: 'one' | 'both';
  readonly checkEveryS: number;
}

/** The file of a pair that is made now. @throws LocalError `NO_FREE_PORT` */
export async function newPairFile(given: NewPair): Promise<PairFile> {
  const [first = 0, second = 0] = await findFreePorts(loopback, sideNames.length, new Set());
  return {
    format: 1,
    topology: 'circular',
    id: newClusterId(),
    ...given,
    nodes: { n1: { dbPort: first }, n2: { dbPort: second } },
    active: 'n1',
    apart: null,
    events: [],
  };
}

/** Gives a server another port when somebody has taken its own since the last start. @param running servers that hold theirs. */
export async function claimPairPorts(file: PairFile, running: ReadonlySet<SideName>): Promise<PairFile> {
  let nodes = file.nodes;
  for (const name of sideNames) {
    if (running.has(name) || (await isPortFree(loopback, nodes[name].dbPort))) continue;
    const taken = new Set(sideNames.map((each) => nodes[each].dbPort));
    const [dbPort = 0] = await findFreePorts(loopback, 1, taken);
    nodes = { ...nodes, [name]: { dbPort } };
  }
  return nodes === file.nodes ? file : { ...file, nodes };
}

/** The file with one more event; the oldest go. */
export function withEvent(file: PairFile, event: PairEvent): PairFile {
  return { ...file, events: [...file.events, event].slice(-eventsKept) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
