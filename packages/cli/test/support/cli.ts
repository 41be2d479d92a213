import { spawn } from 'node:child_process';
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

/** Runs the real command on a terminal (of the program `script`); both outputs come as `stdout`. */
export function cliOnTerminal(
  args: readonly string[],
  options: RunOptions & { readonly columns?: number } = {},
): Promise<Ran> {
  const quoted = [process.execPath, main, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const size = `stty cols ${options.columns ?? 100} rows 40`;
  return runToEnd('script', ['-qec', `${size}; ${quoted}`, '/dev/null'], {
    ...options,
    env: { TERM: 'xterm', ...options.env },
  });
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
