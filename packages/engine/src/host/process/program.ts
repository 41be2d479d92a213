import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { reasonOf } from '@understudy/base';
import { EngineError, type EngineErrorCode } from '../../index.ts';
import type { Owner } from '../files.ts';

const outputBytesMax = 1024 * 1024;
const lineCharactersMax = 10_000;

export interface ProgramOptions {
  /** Its working directory. */
  readonly home: string;
  /** All of its environment: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  readonly owner: Owner;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly failure: EngineErrorCode;
  /** Called with each line that the program writes, whole. */
  readonly onLine?: (line: string) => void;
}

/**
 * The environment of a server and its tools: nothing is inherited that they would read as configuration.
 *
 * @param locale of messages, and where the program has no other, of characters.
 */
export function cleanEnvironment(
  home: string,
  libraryPath: string | undefined,
  locale: 'C' | 'C.UTF-8',
): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    HOME: home,
    LC_ALL: locale,
    ...(process.env.TZ === undefined ? {} : { TZ: process.env.TZ }),
    ...(libraryPath === undefined ? {} : { LD_LIBRARY_PATH: libraryPath }),
  };
}

/** Starts a program with an output of two streams. */
export function spawnProgram(
  program: string,
  args: readonly string[],
  { home, environment, owner }: Pick<ProgramOptions, 'home' | 'environment' | 'owner'>,
): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(program, args, {
    cwd: home,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(owner ?? {}),
  });
}

/** Collects the end of what several streams bring, as one text. */
function collect(streams: readonly Readable[], onLine: (line: string) => void): () => string {
  let output = '';
  let line = '';
  const take = (chunk: Buffer): void => {
    const text = chunk.toString('utf8');
    output = (output + text).slice(-outputBytesMax);
    const parts = (line + text).split(/[\r\n]/);
    line = (parts.pop() ?? '').slice(-lineCharactersMax);
    for (const part of parts) onLine(part);
  };
  for (const stream of streams) stream.on('data', take);
  return () => output;
}

/**
 * Runs one of the server's programs to its end.
 *
 * @returns its exit code and the end of what it wrote.
 * @throws EngineError `ENGINE_BINARY_MISSING` when it cannot be started; `failure` when it outlives its deadline.
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawnProgram(program, args, options);
  const output = collect([child.stdout, child.stderr], options.onLine ?? (() => undefined));
  const end = await endOf(child, program, options);
  if (end.kind === 'ended') return { code: end.code, output: output() };
  const text = `${program} did not end within ${options.timeoutMs / 1000} s and was stopped.`;
  throw new EngineError(options.failure, text, { retry: 'unknown' });
}

/** How a program ended: by itself or by a signal (no exit code), or because it outlived its deadline. */
export type End = { readonly kind: 'ended'; readonly code: number | null } | { readonly kind: 'late' };

/** Waits for a program's end; kills it at the deadline, and when `signal` fires. */
export function endOf(
  child: ChildProcess,
  program: string,
  options: Pick<ProgramOptions, 'timeoutMs' | 'signal'>,
): Promise<End> {
  return new Promise((resolve, reject) => {
    let late = false;
    const stop = (): void => void child.kill('SIGKILL');
    const timer = setTimeout(() => {
      late = true;
      stop();
    }, options.timeoutMs);
    options.signal?.addEventListener('abort', stop, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', stop);
    };
    child.once('error', (error) => {
      settle();
      const text = `Cannot run ${program}: ${reasonOf(error)}.`;
      reject(
        new EngineError('ENGINE_BINARY_MISSING', text, {
          next: 'Is the server installed there, and may its user run it?',
          cause: error,
        }),
      );
    });
    child.once('close', (code) => {
      settle();
      resolve(late ? { kind: 'late' } : { kind: 'ended', code });
    });
  });
}

/**
 * The last lines of a program's output as one line for a message.
 *
 * @param telling those that say most, where there are any.
 */
export function lastLines(output: string, telling?: RegExp): string {
  const lines = output.split(/[\r\n]/).map((line) => line.trim());
  const chosen = telling === undefined ? [] : lines.filter((line) => telling.test(line));
  return (chosen.length > 0 ? chosen : lines.filter((line) => line !== '')).slice(-4).join(' / ').slice(-800);
}
