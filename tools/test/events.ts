import { z } from 'zod';

/** What a test process writes for each test: a JSON line. `end` is missing when the process died half-way. */
export const testLineSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('started'), name: z.string() }),
  z.object({ kind: z.literal('ended'), name: z.string() }),
  z.object({ kind: z.literal('passed'), name: z.string() }),
  z.object({ kind: z.literal('skipped'), name: z.string() }),
  z.object({ kind: z.literal('failed'), name: z.string(), where: z.string(), error: z.string() }),
  z.object({ kind: z.literal('end') }),
]);

export type TestLine = z.infer<typeof testLineSchema>;

/** The outcome of one test file or one check. */
export interface Outcome {
  readonly name: string;
  readonly passed: number;
  readonly skipped: number;
  /** Each with a title and everything needed to understand it. */
  readonly failures: readonly Failure[];
  /** What it wrote; shown only beside failures. */
  readonly output: string;
  readonly durationMs: number;
  /** Failed beside other files, and passed when it ran alone. */
  readonly isUnstable?: boolean;
}

export interface Failure {
  readonly title: string;
  readonly text: string;
}

/**
 * Reads the lines that a test process wrote.
 *
 * @param text may end in the middle of a line when the process was killed.
 */
export function readLines(text: string): TestLine[] {
  return text.split('\n').flatMap((line) => {
    try {
      const parsed = testLineSchema.safeParse(JSON.parse(line));
      return parsed.success ? [parsed.data] : [];
    } catch {
      return [];
    }
  });
}

/** Tests that were begun and have no result, outermost first. */
export function unfinished(lines: readonly TestLine[]): string[] {
  const open = new Set<string>();
  for (const line of lines) {
    if (line.kind === 'started') open.add(line.name);
    else if (line.kind !== 'end') open.delete(line.name);
  }
  return [...open];
}
