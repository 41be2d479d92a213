// Loaded by Node inside each test process: turns test events into one JSON line each (see events.ts).
import { appendFileSync } from 'node:fs';
import { inspect } from 'node:util';
import type { TestLine } from './events.ts';

interface Event {
  readonly type: string;
  readonly data: unknown;
}

interface Data {
  readonly name?: string;
  readonly testId?: number;
  readonly parentId?: number;
  readonly file?: string;
  readonly line?: number;
  readonly skip?: boolean | string;
  readonly todo?: boolean | string;
  readonly details?: { readonly type?: string; readonly passed?: boolean; readonly error?: unknown };
}

const errorLengthMax = 12_000;

/** Names the file that gets the lines. */
export const eventsVariable = 'UNDERSTUDY_TEST_EVENTS';

/**
 * Node expects a reporter to yield its output and writes it when it gets to it; what a process that dies has not written is lost.
 * So the lines are written here, at once, and nothing is yielded.
 */
export default async function* report(events: AsyncIterable<Event>): AsyncGenerator<string> {
  const file = process.env[eventsVariable];
  if (file === undefined) throw new Error(`${eventsVariable} is not set. This reporter belongs to tools/test.mjs.`);
  const names = new Map<number, string>();
  yield '';
  for await (const event of events) {
    const data = event.data as Data;
    if (event.type === 'test:enqueue') remember(names, data);
    const line = lineOf(event.type, data, names);
    if (line) appendFileSync(file, `${JSON.stringify(line)}\n`);
  }
}

function remember(names: Map<number, string>, { name, testId, parentId }: Data): void {
  if (testId === undefined || name === undefined) return;
  const parent = names.get(parentId ?? 0);
  names.set(testId, parent === undefined ? name : `${parent} › ${name}`);
}

function lineOf(type: string, data: Data, names: ReadonlyMap<number, string>): TestLine | null {
  const name = names.get(data.testId ?? -1) ?? data.name ?? '';
  if (type === 'test:dequeue') return { kind: 'started', name };
  if (type === 'test:summary') return { kind: 'end' };
  if (type !== 'test:complete') return null;
  const isSuite = data.details?.type === 'suite';
  if (data.details?.passed === false && !data.todo) {
    const error = data.details.error;
    // The subtest that failed is reported by itself.
    if (failureTypeOf(error) === 'subtestsFailed') return { kind: 'ended', name };
    return { kind: 'failed', name, where: `line ${data.line ?? 0}`, error: errorText(error) };
  }
  if (isSuite) return { kind: 'ended', name };
  return { kind: data.skip || data.todo ? 'skipped' : 'passed', name };
}

function failureTypeOf(error: unknown): unknown {
  return error instanceof Error && 'failureType' in error ? error.failureType : undefined;
}

/** Node wraps what the test threw; the wrapper's own stack says nothing. */
function errorText(error: unknown): string {
  const thrown = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const text = typeof thrown === 'string' ? thrown : inspect(thrown, { depth: 5, breakLength: 140 });
  return text.length > errorLengthMax ? `${text.slice(0, errorLengthMax)} …` : text;
}
