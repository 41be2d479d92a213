import { createPair, describePair, type Pair, type PairEvent, type PairOptions, pairStatus } from '@understudy/pair';
import { connectionString } from '../connection-string.ts';
import { type Context, print, printJson, printJsonLine } from '../context.ts';
import { engineFacts } from '../engine/facts.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { typedCommand } from '../invocation.ts';
import { renderPair } from '../render/pair.ts';
import { startInBackground } from './up-detached.ts';
import { type ProgressView, startProgress } from './up-progress.ts';
import { UpSignals } from './up-signals.ts';

export interface UpPair {
  readonly options: PairOptions;
  readonly timeoutMs: number;
}

/** `understudy up --topology circular`: two servers that replicate from each other, until Ctrl-C. */
export async function upPair(context: Context, { options, timeoutMs }: UpPair): Promise<ExitCode> {
  context.io.outliveReader();
  const progress = startProgress(context);
  const signals = new UpSignals(context);
  try {
    const pair = await createPair({
      ...options,
      onProgress: (step) => progress.show(step),
      onEvent: (event) => tell(context, progress, event),
    });
    signals.killWith(() => pair.kill());
    await pair.start({ timeoutMs, signal: signals.first });
    progress.end();
    await welcome(context, pair);
    await ended(signals.first);
    progress.stopping();
    await pair.stop();
    progress.stopped(pair.folder);
    return signals.exitCode;
  } catch (error) {
    progress.end();
    if (signals.first.aborted) return signals.exitCode;
    throw error;
  } finally {
    progress.end();
    signals.close();
  }
}

function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

function tell(context: Context, progress: ProgressView, { at, tone, text }: PairEvent): void {
  if (context.format === 'json') {
    printJsonLine(context, { at, tone, text });
    return;
  }
  const { errStyle: style } = context;
  const paint = { good: style.green, plain: (plain: string) => plain, warn: style.yellow, bad: style.red }[tone];
  progress.line(`${style.dim(at.slice(11, 23))}  ${paint(text)}`);
}

async function welcome(context: Context, pair: Pair): Promise<void> {
  const { status } = pair;
  const { user, database } = await pair.login();
  const url = urlOf(status, user, database);
  if (context.format === 'json') {
    printJson(context, { ...status, url, secretsFile: pair.paths.secrets });
    return;
  }
  const { style } = context;
  const command = typedCommand(context.io.env);
  print(context, [
    ...renderPair({ ...status, events: [] }, style, context.io.out.columns()),
    '',
    `${style.bold('Connect')}  ${url}`,
    `         with the password: ${style.cyan(`${command} url --with-password --data-dir ${pair.folder}`)}`,
    `${style.bold('Try')}      ${style.cyan(`${command} pair switch --data-dir ${pair.folder}`)}`,
    '',
    `${style.bold('Ctrl-C')} stops both; the data is kept in ${pair.folder}. What happens, from here on:`,
  ]);
}

type Status = Pair['status'];

/** The address of the active server. */
function urlOf({ engine, nodes, active }: Pick<Status, 'engine' | 'nodes' | 'active'>, user: string, database: string) {
  const hosts = nodes.toSorted((a, b) => Number(b.name === active) - Number(a.name === active));
  return connectionString(engine, { hosts, user, database, target: 'read-write' });
}

/** The same in the background: this process waits until the pair is whole, and ends. */
export async function upPairDetached(
  context: Context,
  { options, timeoutMs }: UpPair,
  args: readonly string[],
): Promise<ExitCode> {
  const before = await describePair(options);
  if (before?.runner != null) {
    const text = `Pair ${before.file.name} in ${before.folder} runs already (process ${before.runner.pid ?? 'unknown'}).`;
    throw new CliError('USAGE', text, { next: 'See it with: understudy pair show' });
  }
  const up = async (pid: number) => {
    const found = await describePair(options);
    const status = found?.runner?.pid === pid ? await pairStatus(found).catch(() => null) : null;
    // Somebody's decision may be needed, which this process cannot wait for.
    const isUp = status !== null && (status.whole || status.problems.length > 0);
    return found !== null && isUp ? { folder: found.folder, status } : null;
  };
  const { value, started } = await startInBackground(context, args, timeoutMs, up);
  return report(context, value.status, started);
}

function report(
  context: Context,
  status: Status,
  { pid, log }: { readonly pid: number; readonly log: string },
): ExitCode {
  const url = urlOf(status, engineFacts(status.engine).user, engineFacts(status.engine).database);
  const { name, folder } = status;
  if (context.format === 'json') printJson(context, { name, folder, pid, log, url, nodes: status.nodes });
  else
    print(context, [
      `${context.style.green('●')} ${context.style.bold(`Pair ${name} is up`)} in the background (process ${pid}, log ${log})`,
      `  ${url}`,
      `  End it with: ${context.style.cyan(`${typedCommand(context.io.env)} down --data-dir ${folder}`)}`,
    ]);
  return EXIT.done;
}
