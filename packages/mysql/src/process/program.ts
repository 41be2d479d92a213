import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { EngineError, type EngineErrorCode } from '@understudy/engine';
import type { Owner } from '@understudy/engine/host';
import { reasonOf } from '../errors.ts';
import { serverEnvironment } from './environment.ts';

const outputBytesMax = 1024 * 1024;

export interface ProgramOptions {
  readonly home: string;
  readonly libraryPath: string | undefined;
  readonly owner: Owner;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly failure: EngineErrorCode;
}

/** The lines of an output that tell most (those with an error, else the last ones), as one line for a message. */
export function tail(output: string): string {
  const lines = output.split('\n').map((line) => line.trim());
  const errors = lines.filter((line) => /\berror\b/i.test(line));
  const telling = errors.length > 0 ? errors : lines.filter((line) => line !== '');
  return telling.slice(-4).join(' / ').slice(-800);
}

/** Starts a program with our environment and its output (both streams, as one) collected from now on. */
export function spawnProgram(program: string, args: readonly string[], options: Omit<ProgramOptions, 'failure'>) {
  const child = spawn(program, args, {
    cwd: options.home,
    env: serverEnvironment(options.home, options.libraryPath),
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.owner ?? {}),
  });
  return child;
}

function collect(streams: readonly (Readable | null)[]): () => string {
  let output = '';
  for (const stream of streams) {
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-outputBytesMax);
    });
  }
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
  const output = collect([child.stdout, child.stderr]);
  const end = await endOf(child, program, options);
  if (end.kind === 'ended') return { code: end.code, output: output() };
  const text = `${program} did not end within ${options.timeoutMs / 1000} s and was stopped.`;
  throw new EngineError(options.failure, text, 'unknown');
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
      const text = `Cannot run ${program}: ${reasonOf(error)}. Is the server installed there, and may its user run it?`;
      reject(new EngineError('ENGINE_BINARY_MISSING', text, 'safe', { cause: error }));
    });
    child.once('close', (code) => {
      settle();
      resolve(late ? { kind: 'late' } : { kind: 'ended', code });
    });
  });
}
