import { type ChildProcess, spawn } from 'node:child_process';
import { basename } from 'node:path';
import { type Readable, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EngineError, type EngineErrorCode } from '@understudy/engine';
import { type End, endOf, type Owner } from '@understudy/engine/host';
import { engineError } from '../errors.ts';
import { serverEnvironment, tail } from './program.ts';

export interface Part {
  readonly program: string;
  readonly args: readonly string[];
}

export interface PipeOptions {
  readonly home: string;
  readonly libraryPath: string | undefined;
  readonly owner: Owner;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly failure: EngineErrorCode;
  /** Called with the number of bytes that have gone from one to the other. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Lets one program read what another writes, and waits for both.
 *
 * @throws EngineError `failure` with what they said, unless both ended well; `ENGINE_BINARY_MISSING` when one cannot be started.
 */
export async function pipePrograms(from: Part, to: Part, options: PipeOptions): Promise<void> {
  const writer = begin(from, options);
  const reader = begin(to, options);
  const ends = Promise.all([endOf(writer.child, from.program, options), endOf(reader.child, to.program, options)]);
  // Awaited below; until then a program that could not be started is no unhandled rejection.
  ends.catch(() => undefined);
  const { stdout } = writer.child;
  const { stdin } = reader.child;
  if (stdout === null || stdin === null)
    throw new EngineError('ENGINE_INTERNAL', 'A program has no pipe.', { retry: 'unknown' });
  reader.child.stdout?.resume();
  writer.child.stdin?.end();
  // When one of the two dies, its exit code and words say more than the broken pipe; and the other must not wait for it.
  await pipeline(stdout, new Counter(options.onBytes ?? (() => undefined)), stdin).catch(() => {
    writer.child.kill('SIGKILL');
    reader.child.kill('SIGKILL');
  });
  const [written, read] = await ends;
  const failures = [failureOf(reader, read), failureOf(writer, written)].filter((text) => text !== null);
  if (failures.length > 0) throw new EngineError(options.failure, failures.join(' '), { retry: 'safe' });
}

/**
 * Lets a program read a stream to its end, and waits for it.
 *
 * @param from who sends the stream, for messages. @param options.stalledAfterMs it is given up when nothing passes for so long.
 * @throws EngineError of the stream, when it fails with one; `failure`, unless the program ended well; `ENGINE_BINARY_MISSING`.
 */
export async function feedProgram(
  stream: Readable,
  from: string,
  to: Part,
  options: PipeOptions & { readonly stalledAfterMs: number },
): Promise<void> {
  const { signal, failure, stalledAfterMs, onBytes } = options;
  const reader = begin(to, options);
  const ended = endOf(reader.child, to.program, options);
  ended.catch(() => undefined);
  const { stdin } = reader.child;
  if (stdin === null) throw new EngineError('ENGINE_INTERNAL', 'A program has no pipe.', { retry: 'unknown' });
  reader.child.stdout?.resume();
  const text = `For ${stalledAfterMs / 1000} s nothing went from ${from} to ${basename(to.program)}.`;
  const timer = setTimeout(() => stream.destroy(new EngineError(failure, text, { retry: 'safe' })), stalledAfterMs);
  const count = (bytes: number): void => {
    timer.refresh();
    onBytes?.(bytes);
  };
  const broken = await pipeline(stream, new Counter(count), stdin, { signal }).then(
    () => null,
    (error: unknown) => stream.errored ?? error,
  );
  clearTimeout(timer);
  // What the stream says of its own failure tells more than the program that was left with half of it.
  if (broken instanceof EngineError) reader.child.kill('SIGKILL');
  const said = failureOf(reader, await ended);
  signal.throwIfAborted();
  if (broken instanceof EngineError) throw broken;
  if (said !== null) throw engineError(failure, `Unpacking what ${from} sent`, new Error(said), 'safe');
  if (broken !== null) throw engineError(failure, `Reading from ${from}`, broken, 'safe');
}

interface Begun {
  readonly program: string;
  readonly child: ChildProcess;
  readonly errors: () => string;
}

function begin({ program, args }: Part, { home, libraryPath, owner }: PipeOptions): Begun {
  const env = serverEnvironment(home, libraryPath);
  const child = spawn(program, args, { cwd: home, env, stdio: 'pipe', ...(owner ?? {}) });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString('utf8')).slice(-16_384);
  });
  return { program, child, errors: () => text };
}

function failureOf({ program, errors }: Begun, end: End): string | null {
  if (end.kind === 'late') return `${program} took too long.`;
  return end.code === 0
    ? null
    : `${program} failed (exit code ${end.code ?? 'none'}): ${tail(errors()) || 'no message'}.`;
}

/** Passes everything on, and tells how many bytes have passed. */
export class Counter extends Transform {
  #bytes = 0;
  readonly #count: (bytes: number) => void;

  constructor(count: (bytes: number) => void) {
    super();
    this.#count = count;
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    this.#bytes += chunk.length;
    this.#count(this.#bytes);
    done(null, chunk);
  }
}
