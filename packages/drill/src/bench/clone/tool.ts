import { spawn } from 'node:child_process';
import { monotonicMs } from '@understudy/base';
import { serverUser } from '@understudy/servers';

export interface ToolOptions {
  readonly home: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Runs a program as the servers' user. @returns how long it took, in ms @throws Error with its last words when it fails */
export async function timeTool(program: string, args: readonly string[], options: ToolOptions): Promise<number> {
  const startedMs = monotonicMs();
  const user = serverUser();
  const child = spawn(program, args, {
    cwd: options.home,
    env: { PATH: process.env.PATH, HOME: options.home, ...options.env },
    stdio: ['ignore', 'ignore', 'pipe'],
    signal: options.signal,
    ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
  });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString('utf8')).slice(-2000);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    // One that is ended on purpose says so before it has gone.
    child.once('error', (error) => (child.pid === undefined ? reject(error) : undefined));
    child.once('close', resolve);
  });
  if (code === 0) return monotonicMs() - startedMs;
  throw new Error(`${program} failed (exit code ${code}): ${words.trim().split('\n').slice(-3).join(' / ')}`);
}
