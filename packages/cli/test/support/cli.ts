import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkout } from './pages.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** The environment of this process without what would change what is tested. */
export function cleanEnvironment(env: Readonly<Record<string, string>> = {}): Record<string, string | undefined> {
  const {
    NO_COLOR: _a,
    FORCE_COLOR: _b,
    npm_command: _c,
    npm_lifecycle_event: _d,
    EDITOR: _e,
    VISUAL: _f,
    ...rest
  } = process.env;
  const ours = Object.fromEntries(
    Object.entries(rest).filter(([name]) => !/^UNDERSTUDY_(API|CONFIG|TOKEN|CA|CERT|KEY)/.test(name)),
  );
  // As the launcher does: compiled sources are kept, which halves the time of every command.
  return { NODE_COMPILE_CACHE: join(checkout, '.cache', 'compile'), ...ours, ...env };
}

/** Runs the real command to its end. */
export function cli(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return runToEnd(process.execPath, [main, ...args], options);
}

/** Starts the real command, for a test that ends it. */
export function startCli(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [main, ...args], { stdio: 'ignore', env: cleanEnvironment() });
}

/** Runs the real command on a terminal (of the program `script`); both outputs come as `stdout`. */
export function cliOnTerminal(
  args: readonly string[],
  options: RunOptions & { readonly columns?: number } = {},
): Promise<Ran> {
  return runToEnd('script', terminalWords(args, options.columns), {
    ...options,
    env: { TERM: 'xterm', ...options.env },
  });
}

/** A command at work on a terminal. */
export interface OnTerminal {
  output(): string;
  type(text: string): void;
  /** The exit code; null after `timeoutMs`. */
  readonly ended: Promise<number | null>;
}

/** Starts the real command on a terminal whose keyboard stays open until the command ends. */
export function startOnTerminal(args: readonly string[], timeoutMs = 30_000): OnTerminal {
  const child = spawn('script', terminalWords(args), {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: cleanEnvironment({ TERM: 'xterm' }),
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString('utf8');
  });
  child.stdin.on('error', () => undefined);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { output: () => output, type: (text) => child.stdin.write(text), ended };
}

function terminalWords(args: readonly string[], columns = 100): string[] {
  const quoted = [process.execPath, main, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  return ['-qec', `stty cols ${columns} rows 40; exec ${quoted}`, '/dev/null'];
}

function runToEnd(program: string, args: readonly string[], options: RunOptions): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: cleanEnvironment(options.env),
      cwd: options.cwd,
      timeout: options.timeoutMs ?? 60_000,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString('utf8');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString('utf8');
    });
    child.stdin.on('error', () => undefined);
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
    if (options.input === undefined) child.stdin.end();
    else child.stdin.end(options.input);
  });
}
