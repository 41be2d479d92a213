import { spawn } from 'node:child_process';
import { chmod, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Failure, type Outcome, readLines, type TestLine, unfinished } from './events.ts';
import { endProcesses, markVariable } from './processes.ts';
import { eventsVariable } from './reporter.ts';

const reporter = fileURLToPath(new URL('./reporter.ts', import.meta.url));
const outputCharsMax = 30_000;
const leftoverGraceMs = 3000;

export interface FileRun {
  readonly root: string;
  /** Below `root`. */
  readonly file: string;
  /** How the file is called in the output. */
  readonly name: string;
  /** A new folder for this file alone; removed afterwards. */
  readonly scratch: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

interface Exit {
  readonly how: 'exited' | 'timeout' | 'interrupted';
  readonly code: number | null;
  readonly killedBy: string | null;
  readonly output: string;
  readonly group: number;
}

/**
 * Runs one test file in a process of its own and judges it: by its tests, by how the process ended, and by what it left running.
 */
export async function runFile(run: FileRun): Promise<Outcome> {
  const startedMs = performance.now();
  const temporary = join(run.scratch, 'tmp');
  await mkdir(temporary, { recursive: true });
  // Like /tmp itself: servers may run as another user.
  await chmod(temporary, 0o1777);
  const mark = `${process.pid}:${run.file}`;
  const exit = await runProcess(run, temporary, mark);
  const traces = { group: exit.group, mark, folder: run.scratch };
  const leftovers = await endProcesses(traces, exit.how === 'exited' ? leftoverGraceMs : 0);
  const lines = readLines(await readFile(join(run.scratch, 'events'), 'utf8').catch(() => ''));
  await rm(run.scratch, { recursive: true, force: true });
  const failures = [...failedTests(lines), ...howItEnded(run, exit, lines)];
  if (leftovers.length > 0 && exit.how === 'exited') {
    const list = leftovers.map(({ pid, command }) => `${pid} ${command}`).join('\n');
    failures.push({ title: 'left processes running (killed now)', text: list });
  }
  return {
    name: run.name,
    passed: lines.filter(({ kind }) => kind === 'passed').length,
    skipped: lines.filter(({ kind }) => kind === 'skipped').length,
    failures,
    output: exit.output,
    durationMs: performance.now() - startedMs,
  };
}

function runProcess(run: FileRun, temporary: string, mark: string): Promise<Exit> {
  const args = [`--test-reporter=${reporter}`, '--test-reporter-destination=stdout', run.file];
  const events = join(run.scratch, 'events');
  const env = { ...process.env, TMPDIR: temporary, [markVariable]: mark, [eventsVariable]: events };
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  const child = spawn(process.execPath, args, { cwd: run.root, env, stdio, detached: true });
  const group = child.pid ?? -1;
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-outputCharsMax);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return new Promise((resolve) => {
    let how: Exit['how'] = 'exited';
    const stop = (reason: Exit['how']): void => {
      how = reason;
      child.kill('SIGKILL');
    };
    const timer = setTimeout(() => stop('timeout'), run.timeoutMs);
    const onAbort = (): void => stop('interrupted');
    run.signal.addEventListener('abort', onAbort);
    const finish = (code: number | null, killedBy: string | null): void => {
      clearTimeout(timer);
      run.signal.removeEventListener('abort', onAbort);
      // Children that outlive the file hold its output open: 'exit', not 'close', is its end.
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ how, code, killedBy, output, group });
    };
    child.once('error', (error) => {
      output += String(error);
      finish(null, null);
    });
    // One more turn of the loop, so that what is in the pipes is read.
    child.once('exit', (code, killedBy) => setTimeout(() => finish(code, killedBy), 20));
  });
}

function failedTests(lines: readonly TestLine[]): Failure[] {
  return lines.flatMap((line) =>
    line.kind === 'failed' ? [{ title: `${line.name} (${line.where})`, text: line.error }] : [],
  );
}

function howItEnded(run: FileRun, exit: Exit, lines: readonly TestLine[]): Failure[] {
  const running = unfinished(lines);
  const during = running.length === 0 ? '' : `Running at that time: ${running.join('; ')}`;
  if (exit.how === 'interrupted') return [{ title: 'interrupted', text: during }];
  if (exit.how === 'timeout') {
    const text = during === '' ? 'All its tests had ended: something keeps the process alive.' : during;
    return [{ title: `did not end within ${run.timeoutMs / 1000} s, killed`, text }];
  }
  if (lines.length === 0 && exit.code === 0) return [{ title: 'it ended with exit code 0 without a test', text: '' }];
  if (!lines.some(({ kind }) => kind === 'end')) {
    const cause = exit.killedBy === null ? `exit code ${exit.code}` : `signal ${exit.killedBy}`;
    return [{ title: `the process ended before its tests did (${cause})`, text: during }];
  }
  if (!lines.some(({ kind }) => kind === 'passed' || kind === 'failed' || kind === 'skipped')) {
    return [{ title: 'it ended with exit code 0 without a test', text: '' }];
  }
  const hasFailed = lines.some(({ kind }) => kind === 'failed');
  if (exit.code === 0 || hasFailed) return [];
  return [{ title: `its tests passed but it ended with exit code ${exit.code ?? exit.killedBy}`, text: '' }];
}
