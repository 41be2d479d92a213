import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync } from 'node:fs';
import { readFile, rename, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { monotonicMs, pause } from '@understudy/base';
import { type ClusterDescription, describeCluster, stopOrphans, usableLeader } from '@understudy/local';
import { ClusterClient } from '../client/cluster.ts';
import { readTls } from '../client/http.ts';
import { connectionString } from '../connection-string.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { engineFacts } from '../engine/facts.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { ownCommand, typedCommand } from '../invocation.ts';
import { problemsOf } from '../render/member.ts';

const lookEveryMs = 200;
/** Fetching servers is not part of the time that the cluster itself may take to start. */
const fetchSlackMs = 600_000;

interface Start {
  readonly pid: number;
  readonly log: string;
  /** How it ended; null while it runs. */
  readonly ended: () => string | null;
}

/** `up --detach`: the same command in the background; this one waits until the cluster is whole, and ends. */
export async function upDetached(
  context: Context,
  choice: { readonly name?: string; readonly folder?: string },
  args: readonly string[],
  timeoutMs: number,
): Promise<ExitCode> {
  const before = await describeCluster(choice);
  if (before?.runner != null) {
    const text = `Cluster ${before.state.name} in ${before.folder} runs already (process ${before.runner.pid ?? 'unknown'}).`;
    throw new CliError('USAGE', text, { next: 'See it with: understudy status' });
  }
  // Agents that outlived a killed run would answer for the new one, which ends them a moment later.
  await stopOrphans(choice);
  const beganMs = monotonicMs();
  const up = async (pid: number) => {
    const found = await describeCluster(choice);
    const leader =
      found?.runner?.pid === pid
        ? await leaderOf(found, monotonicMs() - beganMs > timeoutMs ? 'usable' : 'whole')
        : null;
    return found === null || leader === null ? null : { folder: found.folder, found, leader };
  };
  const { value, started } = await startInBackground(context, args, timeoutMs, up);
  return report(context, value.found, value.leader, started);
}

/**
 * Starts `up` with these arguments in the background and waits for it.
 *
 * @param look what there is to report once it is up, and the folder of it; null before.
 * @throws CliError `REQUEST_FAILED` with what the command said; `INTERRUPTED`; `STILL_PENDING` when it takes too long.
 */
export async function startInBackground<T extends { readonly folder: string }>(
  context: Context,
  args: readonly string[],
  timeoutMs: number,
  look: (pid: number) => Promise<T | null>,
): Promise<{ readonly value: T; readonly started: Pick<Start, 'pid' | 'log'> }> {
  note(context, 'Starting in the background …');
  const started = launch(args);
  const signal = context.interruption();
  const limitMs = monotonicMs() + timeoutMs + fetchSlackMs;
  while (monotonicMs() < limitMs) {
    const how = started.ended();
    if (how !== null) throw await notStarted(started, how);
    if (signal.aborted) {
      process.kill(started.pid, 'SIGTERM');
      throw new CliError('INTERRUPTED', 'Interrupted; what was started is being stopped.');
    }
    const value = await look(started.pid);
    if (value !== null) return { value, started: { pid: started.pid, log: await keepLog(started.log, value.folder) } };
    await pause(lookEveryMs, signal);
  }
  const next = `Look into ${started.log}, or end it with: understudy down`;
  throw new CliError('STILL_PENDING', 'It is not up yet.', { next, retry: 'unknown' });
}

/** Starts `up` with these arguments in the background. */
function launch(args: readonly string[]): Start {
  const log = join(mkdtempSync(join(tmpdir(), 'understudy-up-')), 'up.log');
  const output = openSync(log, 'a', 0o600);
  const [file = process.execPath, ...first] = ownCommand;
  const child = spawn(file, [...first, 'up', ...args], { detached: true, stdio: ['ignore', output, output] });
  closeSync(output);
  let how: string | null = null;
  child.once('error', (error) => {
    how = error.message;
  });
  child.once('exit', (code, signal) => {
    how = signal === null ? `exit code ${code}` : `signal ${signal}`;
  });
  child.unref();
  return { pid: child.pid ?? -1, log, ended: () => how };
}

/**
 * Puts the log of the running command among the other logs of its cluster, which go when the cluster goes. Where that is another file
 * system it stays where it is: it is being written.
 */
async function keepLog(log: string, folder: string): Promise<string> {
  const kept = join(folder, 'logs', 'up.log');
  try {
    await rename(log, kept);
  } catch {
    return log;
  }
  await rmdir(dirname(log)).catch(() => undefined);
  return kept;
}

/** Who leads the cluster, once it is whole; null before. */
/** @param wanted `usable`: the time in which it should have become whole is over, and it goes on without a member. */
async function leaderOf(found: ClusterDescription, wanted: 'whole' | 'usable'): Promise<string | null> {
  const urls = found.nodes.map(({ apiUrl }) => apiUrl);
  // Its authority is made after the folder has been described.
  const tls = await readTls(found.caFile === null ? {} : { ca: found.caFile }).catch(() => null);
  if (tls === null) return null;
  const client = new ClusterClient({
    urls,
    source: found.folder,
    tls,
    token: async () => null,
    insecure: false,
    folder: found.folder,
  });
  return client.look(1000).then(
    ({ status }) => {
      const isWhole = status.members.length === urls.length && problemsOf(status).length === 0;
      return isWhole ? status.leader : wanted === 'usable' ? usableLeader(status) : null;
    },
    () => null,
  );
}

/** The background command said what was wrong in its log; that is the error here. The log goes when it says no more than that. */
async function notStarted({ log }: Start, how: string): Promise<CliError> {
  const text = await readFile(log, 'utf8').catch(() => '');
  const said = /^error: (.*)$/m.exec(text)?.[1];
  const advice = /^next: +(.*)$/m.exec(text)?.[1];
  if (said !== undefined && advice !== undefined) {
    await rm(dirname(log), { recursive: true, force: true });
    return new CliError('REQUEST_FAILED', `It did not start (${how}): ${said}`, { next: advice });
  }
  const cause = said ?? text.trim().split('\n').at(-1) ?? '';
  return new CliError('REQUEST_FAILED', `It did not start (${how}): ${cause}`, { next: `The whole log: ${log}` });
}

function report(
  context: Context,
  found: ClusterDescription,
  leader: string,
  { pid, log }: Pick<Start, 'pid' | 'log'>,
): ExitCode {
  const { name, engine } = found.state;
  const { user, database } = engineFacts(engine);
  const isLeader = (node: { readonly name: string }): number => Number(node.name === leader);
  const ordered = engine === 'postgres' ? found.nodes : found.nodes.toSorted((a, b) => isLeader(b) - isLeader(a));
  const hosts = ordered.map(({ host, dbPort }) => ({ host, port: dbPort }));
  const url = connectionString(engine, { hosts, user, database, target: 'read-write', caFile: found.databaseCaFile });
  if (context.format === 'json') {
    printJson(context, { name, folder: found.folder, pid, log, url, nodes: found.nodes });
    return EXIT.done;
  }
  const { style } = context;
  print(context, [
    `${style.green('●')} ${style.bold(`Cluster ${name} is up`)} in the background (process ${pid}, log ${log})`,
    `  ${url}`,
    `  End it with: ${style.cyan(`${typedCommand(context.io.env)} down --data-dir ${found.folder}`)}`,
  ]);
  return EXIT.done;
}
