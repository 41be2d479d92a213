import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { reasonOf } from '@understudy/base';
import { getServer, showProgress } from '@understudy/servers';
import { type Check, checks } from '../check/checks.ts';
import { Display } from './display.ts';
import type { Outcome } from './events.ts';
import { findTestFiles, type Group, type TestFile } from './find-files.ts';
import { measureStarts, paceOf } from './pace.ts';
import { runFile } from './run-file.ts';
import { scratchParent } from './scratch.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Servers that the real tests use beside the bundled PostgreSQL 17. */
const testServers = [
  'postgres-15',
  'postgres-18',
  'pg-tools-15',
  'pg-tools-17',
  'etcd-3.4',
  'etcd-3.5',
  'etcdctl',
  'haproxy',
  'mysql-9.7',
  'mariadb-10.11',
  'mariadb-11.8',
];

const usage = `Usage: npm test [-- [FILTER…] [options]]

Runs the checks, then every test file whose name contains one of the filters. Without a filter: all but the long ones
(*.long.real.test.ts: older and newer versions, sizes, damage), which \`npm run test:long\` runs.
Checks are named check/types, check/imports, …; files core/lsn.test.ts, store/etcd.real.test.ts, ….

  --jobs N         test files with real servers at once (default: number of cores, at most 4; fewer on a slow machine)
  --timeout-s N    seconds that one file may take (default: 600, more on a slow machine)
  --long           the long files alone, without the checks
  --list           print the names and stop
Exit codes: 0 all passed; 1 something failed; 2 wrong usage; 130 interrupted.
`;

interface Options {
  readonly jobs: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly scratch: Readonly<Record<Group, string>>;
  readonly display: Display;
}

/** More than this many failures are no accident of the load. */
const SECOND_RUNS_MAX = 3;

type Task = () => Promise<Outcome>;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      jobs: { type: 'string' },
      'timeout-s': { type: 'string', default: '600' },
      long: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  });
  const jobs = Number(values.jobs ?? Math.min(4, availableParallelism()));
  const timeoutMs = Number(values['timeout-s']) * 1000;
  if (values.help || !(Number.isInteger(jobs) && jobs > 0 && timeoutMs > 0)) {
    process.stdout.write(usage);
    return values.help ? 0 : 2;
  }
  const isWanted = ({ name }: { readonly name: string }): boolean =>
    positionals.length === 0 || positionals.some((filter) => name.includes(filter));
  const hasFilter = positionals.length > 0;
  const files = findTestFiles(root).filter(
    (file) => isWanted(file) && (values.long ? file.isLong : hasFilter || !file.isLong),
  );
  const wantedChecks = values.long ? [] : checks.filter(isWanted);
  if (values.list || files.length + wantedChecks.length === 0) {
    const names = [...wantedChecks, ...files].map(({ name }) => name);
    process.stdout.write(
      names.length === 0 ? `No check or test file matches ${positionals.join(', ')}.\n` : `${names.join('\n')}\n`,
    );
    return values.list ? 0 : 2;
  }
  // A named number of files at once is what was asked for; a file's time is a bound against hanging, and may grow.
  const pace = paceOf(await measureStarts(), { jobs, timeoutMs });
  if (pace.slowness > 1.2)
    process.stdout.write(`This machine is ${pace.slowness.toFixed(1)} times slower than usual.\n`);
  return runAll(wantedChecks, files, values.jobs === undefined ? pace.jobs : jobs, pace.timeoutMs);
}

async function runAll(
  wantedChecks: readonly Check[],
  files: readonly TestFile[],
  jobs: number,
  timeoutMs: number,
): Promise<number> {
  const startedMs = performance.now();
  const interruption = new AbortController();
  const onSignal = (): void => interruption.abort();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  const [onDisk, inMemory] = [
    await newFolder(join(tmpdir(), 'us-test-')),
    await newFolder(join(await scratchParent(), 'us-test-')),
  ];
  const scratch = { value: onDisk, real: inMemory, alone: onDisk };
  const outcomes: Outcome[] = [];
  if (files.some(({ group }) => group !== 'value')) outcomes.push(...(await fetchServers()));
  const display = new Display(process.stdout);
  display.expect(wantedChecks.length + files.length);
  const options = { jobs, timeoutMs, signal: interruption.signal, scratch, display };
  const inGroup = (group: Group): Task[] =>
    files.filter((file) => file.group === group).map((file) => () => runTestFile(file, options));
  const checkTasks = wantedChecks.map((check) => () => runCheck(check, display));
  outcomes.push(...(await runTasks(checkTasks, 1, options)));
  const inTurn = [inGroup('value'), inGroup('real')] as const;
  // The next group begins on a core that is free while the last file of the one before still runs on another.
  const [ofValues, beside] = await runInTurn(inTurn, [availableParallelism(), jobs], options);
  outcomes.push(...ofValues);
  outcomes.push(...(await runTasks(inGroup('alone'), 1, options)));
  outcomes.push(...(await againAlone(files, beside, options)));
  display.close();
  for (const folder of [onDisk, inMemory]) await rm(folder, { recursive: true, force: true });
  return summarise(outcomes, interruption.signal.aborted, performance.now() - startedMs);
}

async function runTasks(tasks: readonly Task[], jobs: number, options: Options): Promise<Outcome[]> {
  return (await runInTurn([tasks, []], [jobs, 0], options))[0];
}

/** Each worker takes tasks of the second group once none of the first is left; `jobs` bounds how many take of each. */
async function runInTurn(
  groups: readonly [readonly Task[], readonly Task[]],
  jobs: readonly [number, number],
  { signal }: Options,
): Promise<[Outcome[], Outcome[]]> {
  const outcomes: [Outcome[], Outcome[]] = [[], []];
  const queues: readonly [Task[], Task[]] = [[...groups[0]], [...groups[1]]];
  const worker = async (index: number): Promise<void> => {
    for (const group of [0, 1] as const) {
      if (index >= jobs[group]) continue;
      const queue = queues[group];
      for (let task = queue.shift(); task && !signal.aborted; task = queue.shift()) outcomes[group].push(await task());
    }
  };
  await Promise.all(Array.from({ length: Math.max(...jobs) }, (_, index) => worker(index)));
  return outcomes;
}

/**
 * Files with real servers share the machine with others. A few that fail get one more run, alone: what passes then is shown with its
 * first failure in full, and named at the end as unstable, which is a bug to be found. What fails again, or is more than a few, is red.
 */
async function againAlone(files: readonly TestFile[], beside: readonly Outcome[], options: Options) {
  const failed = new Set(beside.filter(({ failures }) => failures.length > 0).map(({ name }) => name));
  if (failed.size === 0 || failed.size > SECOND_RUNS_MAX || options.signal.aborted) return beside;
  const again = files.filter(({ name }) => failed.has(name));
  options.display.expect(again.length);
  const second = await runTasks(
    again.map((file) => () => runTestFile(file, options)),
    1,
    options,
  );
  return beside.map((first): Outcome => {
    const rerun = second.find(({ name }) => name === first.name);
    if (rerun === undefined) return first;
    return rerun.failures.length > 0 ? rerun : { ...rerun, isUnstable: true };
  });
}

/** A folder that servers, which run as another user, can go through. */
async function newFolder(prefix: string): Promise<string> {
  const folder = await mkdtemp(prefix);
  await chmod(folder, 0o755);
  return folder;
}

async function runTestFile({ file, name, group }: TestFile, options: Options): Promise<Outcome> {
  options.display.start(name);
  const { timeoutMs, signal } = options;
  const scratch = await newFolder(join(options.scratch[group], 'f-'));
  const outcome = await runFile({ root, file, name, scratch, timeoutMs, signal });
  options.display.end(outcome);
  return outcome;
}

async function runCheck(check: Check, display: Display): Promise<Outcome> {
  display.start(check.name);
  const startedMs = performance.now();
  const { problems, notes } = await check
    .run(root)
    .catch((error: unknown) => ({ problems: [reasonOf(error)], notes: [] }));
  const failures = problems.length === 0 ? [] : [{ title: `${problems.length} problems`, text: problems.join('\n') }];
  const outcome = {
    name: check.name,
    passed: failures.length === 0 ? 1 : 0,
    skipped: 0,
    failures,
    output: '',
    durationMs: performance.now() - startedMs,
  };
  display.end(outcome);
  for (const note of notes) display.line(`     note: ${note}`);
  return outcome;
}

/** A server that cannot be fetched fails the run by name; the tests that need it fail as well, with the reason. */
async function fetchServers(): Promise<Outcome[]> {
  const onProgress = showProgress(process.stderr);
  const outcomes: Outcome[] = [];
  for (const name of testServers) {
    const startedMs = performance.now();
    const problem = await getServer(name, { onProgress }).then(() => null, reasonOf);
    if (problem === null) continue;
    process.stderr.write(`\n${problem}\n`);
    const failures = [{ title: 'could not be fetched', text: problem }];
    outcomes.push({ name, passed: 0, skipped: 0, failures, output: '', durationMs: performance.now() - startedMs });
  }
  return outcomes;
}

function summarise(outcomes: readonly Outcome[], isInterrupted: boolean, durationMs: number): number {
  const bad = outcomes.filter(({ failures }) => failures.length > 0);
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  const skipped = outcomes.reduce((sum, outcome) => sum + outcome.skipped, 0);
  const failed = bad.reduce((sum, { failures }) => sum + failures.length, 0);
  const unstable = outcomes.filter(({ isUnstable }) => isUnstable === true).map(({ name }) => name);
  if (unstable.length > 0) {
    process.stdout.write(`\nUnstable (failed beside others, passed alone; see above): ${unstable.join(', ')}\n`);
  }
  if (bad.length > 0) process.stdout.write(`\nFailed: ${bad.map(({ name }) => name).join(', ')}\n`);
  process.stdout.write(
    `\n${outcomes.length} files and checks in ${Math.round(durationMs / 1000)} s${isInterrupted ? ', interrupted' : ''}\n`,
  );
  process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
  if (isInterrupted) return 130;
  return bad.length === 0 ? 0 : 1;
}

process.exitCode = await main();
