import { type ChildProcess, spawn } from 'node:child_process';

export interface ProgramEnd {
  readonly code: number | null;
  /** The last lines of what it said. */
  readonly text: string;
}

/** A program at work. */
export interface ProgramRun {
  readonly ended: Promise<ProgramEnd>;
  /** The last lines of what it has said so far. */
  readonly text: () => string;
  stop(): void;
}

const outputCharsMax = 20_000;
/** A program that does not end when it is asked to waits for a server that does not answer. */
const stopPatienceMs = 2000;

/** Starts a program with `env` added to the environment. */
export function startProgram(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): ProgramRun {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const stop = (): void => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), stopPatienceMs);
    child.once('close', () => clearTimeout(timer));
  };
  return { ...listen(child), stop };
}

function listen(child: ChildProcess): Pick<ProgramRun, 'ended' | 'text'> {
  let text = '';
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString('utf8')).slice(-outputCharsMax);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const ended = new Promise<ProgramEnd>((resolve) => {
    child.once('error', (error) => resolve({ code: null, text: error.message }));
    child.once('close', (code) => resolve({ code, text }));
  });
  return { ended, text: () => text };
}
