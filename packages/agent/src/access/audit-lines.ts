/** The lines of the record of changes, and which of them are kept when there is too much. Pure. */

import { z } from 'zod';

export const changeSchema = z.object({
  wallMs: z.number(),
  /** `token ops`, `certificate alice`, `member n2`, `this machine`. */
  who: z.string(),
  /** IP address and port. */
  from: z.string(),
  /** Method and path. */
  what: z.string(),
  /** The request's body, without what may be secret. */
  body: z.string(),
  /** `begun`: written before it was done; null: how it ended is not known (the agent ended meanwhile). */
  status: z.number().nullable(),
  /** Of a refused request: how many more of the same caller were refused before it, and are not written down. */
  skipped: z.number().optional(),
});
export type Change = z.infer<typeof changeSchema>;

const lineSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('begun'), id: z.string(), change: changeSchema.omit({ status: true }) }),
  z.object({ kind: z.literal('ended'), id: z.string(), status: z.number() }),
]);
export type Line = z.infer<typeof lineSchema>;

/** What an HTTP status says: nothing was done. */
const isRefused = ({ status }: Pick<Change, 'status'>): boolean => status !== null && status >= 400 && status < 500;

export const textOf = (line: Line): string => `${JSON.stringify(line)}\n`;

/** The changes of some files, oldest first. */
export function changesOf(texts: readonly string[]): ReadonlyMap<string, Change> {
  const changes = new Map<string, Change>();
  for (const text of texts) {
    for (const line of text.split('\n').map(parseLine)) {
      if (line === null) continue;
      if (line.kind === 'begun') changes.set(line.id, { ...line.change, status: null });
      else {
        const begun = changes.get(line.id);
        if (begun !== undefined) changes.set(line.id, { ...begun, status: line.status });
      }
    }
  }
  return changes;
}

/**
 * The older file, made of what was in both: refused requests go first, then the oldest changes. So nobody whom the API refuses can push out
 * what was done.
 *
 * @param maxBytes of the older file
 */
export function olderFile(texts: readonly string[], maxBytes: number): string {
  const all = [...changesOf(texts)];
  const kept = new Set<string>();
  let bytes = 0;
  const keep = (isWanted: (change: Change) => boolean): void => {
    for (const [id, change] of all.toReversed().filter(([, each]) => isWanted(each))) {
      bytes += Buffer.byteLength(linesOf(id, change));
      if (bytes > maxBytes) return;
      kept.add(id);
    }
  };
  keep((change) => !isRefused(change));
  keep(isRefused);
  return all.map(([id, change]) => (kept.has(id) ? linesOf(id, change) : '')).join('');
}

function linesOf(id: string, { status, ...change }: Change): string {
  const begun = textOf({ kind: 'begun', id, change });
  return status === null ? begun : begun + textOf({ kind: 'ended', id, status });
}

/** What is shown of them, oldest first: `max` of what was done, and beside these `maxRefused` requests that were refused. */
export function newest(changes: readonly Change[], max: number, maxRefused: number): readonly Change[] {
  const done = changes.filter((change) => !isRefused(change)).slice(-max);
  const refused = changes.filter(isRefused).slice(-maxRefused);
  const shown = new Set([...done, ...refused]);
  return changes.filter((change) => shown.has(change));
}

function parseLine(text: string): Line | null {
  try {
    const parsed = lineSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
