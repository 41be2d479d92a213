import { spawn } from 'node:child_process';
import { EngineError, type EngineErrorCode } from '@understudy/engine';
import type { Owner } from '@understudy/engine/host';
import { reasonOf } from '../errors.ts';
import { serverEnvironment } from './postmaster.ts';

const outputBytesMax = 256 * 1024;

export interface ProgramOptions {
  readonly home: string;
  readonly libraryPath: string | undefined;
  readonly owner: Owner;
  readonly timeoutMs: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly failure: EngineErrorCode;
  /** Called with each line that the program writes, whole. */
  readonly onLine?: (line: string) => void;
}

/**
 * Runs one of PostgreSQL's programs to its end.
 *
 * @returns its exit code and the end of what it wrote.
 * @throws EngineError `ENGINE_BINARY_MISSING` when it cannot be started; `failure` when it outlives its deadline.
 */
export function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<{ readonly code: number | null; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.home,
      env: { ...serverEnvironment(options.home, options.libraryPath), ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.owner ?? {}),
    });
    let output = '';
    let line = '';
    const take = (chunk: Buffer): void => {
      const text = chunk.toString('utf8');
      output = (output + text).slice(-outputBytesMax);
      const parts = (line + text).split(/[\r\n]/);
      line = (parts.pop() ?? '').slice(-10_000);
      for (const part of parts) options.onLine?.(part);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    let late = false;
    const stop = (): void => void child.kill('SIGKILL');
    const timer = setTimeout(() => {
      late = true;
      stop();
    }, options.timeoutMs);
    options.signal?.addEventListener('abort', stop, { once: true });
    child.once('error', (error) => {
      clearTimeout(timer);
      const text = `Cannot run ${program}: ${reasonOf(error)}. Is PostgreSQL installed there, and may the server's user run it?`;
      reject(new EngineError('ENGINE_BINARY_MISSING', text, 'safe', { cause: error }));
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', stop);
      if (late) {
        const text = `${program} did not end within ${options.timeoutMs / 1000} s and was stopped.`;
        reject(new EngineError(options.failure, text, 'unknown'));
      } else resolve({ code, output });
    });
  });
}

/** The last lines of a program's output as one line. */
export function tail(output: string): string {
  const lines = output.split(/[\r\n]/).map((part) => part.trim());
  return lines
    .filter((part) => part !== '')
    .slice(-4)
    .join(' / ')
    .slice(-800);
}
