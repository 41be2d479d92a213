import { spawn } from 'node:child_process';
import { reasonOf } from '@understudy/base';
import { ServersError } from './errors.ts';

export interface RunOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Run as this user; only root can. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Also open file descriptor 3 of the child and hand over each line it writes there. */
  readonly onStatusLine?: (line: string) => void;
}

export interface RunResult {
  /** Exit code, or null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const outputBytesMax = 4 * 1024 * 1024;

/**
 * Runs a program to its end, without a shell and without input.
 *
 * @returns its exit code and output (the first 4 MiB of each stream); a non-zero code is not an error here.
 * @throws ServersError `TOOL_MISSING` when it cannot be started, `COMMAND_FAILED` when it outlives `timeoutMs`.
 */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? '/',
      env: { ...process.env, LC_ALL: 'C', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe', options.onStatusLine ? 'pipe' : 'ignore'],
      ...(options.user ? { uid: options.user.uid, gid: options.user.gid } : {}),
    });
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    const status = child.stdio[3];
    if (options.onStatusLine && status && 'read' in status) splitLines(status, options.onStatusLine);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, options.timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(new ServersError('TOOL_MISSING', `Could not start ${command}: ${reasonOf(error)}.`, { cause: error }));
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      if (timedOut) {
        const text = `${command} did not end within ${options.timeoutMs / 1000} s and was stopped.`;
        reject(new ServersError('COMMAND_FAILED', text, { next: 'Try again.' }));
      } else resolve({ code, stdout: stdout(), stderr: stderr() });
    });
  });
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  stream?.on('data', (chunk: Buffer) => {
    if (sizeBytes >= outputBytesMax) return;
    sizeBytes += chunk.length;
    chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

function splitLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString('utf8')).split('\n');
    rest = (parts.pop() ?? '').slice(0, 10_000);
    for (const part of parts) onLine(part);
  });
}

/** The last lines of a program's error output, as one line for an error message. */
export function tailOf(result: RunResult): string {
  const text = result.stderr.trim() === '' ? result.stdout : result.stderr;
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return lines.slice(-4).join(' / ').slice(-600);
}
