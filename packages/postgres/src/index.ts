import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { monotonicMs } from '@understudy/base';
import { type Engine, EngineError, type ParameterProblem } from '@understudy/engine';
import { KeptFolders, Probe, realDataDir, ServerEngine, StartCount } from '@understudy/engine/host';
import { postgresAdapter } from './adapter.ts';
import { checkParameters, type ParameterCatalog, parameterProblems, readCatalog } from './config/catalog.ts';
import { removeDryStarts } from './config/dry-start.ts';
import { ManagedConfig } from './config/managed.ts';
import { forgetIfUnkept } from './disk/opened.ts';
import type { Instance } from './instance.ts';
import { AckTracker } from './observe/ack-tracker.ts';
import { recallArmed } from './observe/armed.ts';
import { Notices } from './observe/notices.ts';
import { Observer } from './observe/observer.ts';
import { PostgresProbe } from './observe/probe.ts';
import { RunFacts } from './observe/run-facts.ts';
import { type PostgresEngineInput, type PostgresOptions, parseOptions } from './options.ts';
import { pathsOf } from './paths.ts';
import { runProgram, tail } from './process/program.ts';
import { postgresProcess } from './process/server-process.ts';
import { LocalSql } from './sql/local.ts';

export { checkParameters, type ParameterCatalog } from './config/catalog.ts';
export { roles as postgresRoles, slotName } from './names.ts';
export { type PostgresEngineInput, type PostgresOptions, postgresOptionsSchema } from './options.ts';

/**
 * Makes the engine of one PostgreSQL server. Nothing is started; a server that already runs on the data directory (an earlier
 * agent's) is taken over without touching it.
 *
 * @param input see `postgresOptionsSchema`; `log` gets what an operator may want to read, never a secret.
 * @throws EngineError `ENGINE_DATA_REFUSED` for wrong options, `ENGINE_BINARY_MISSING` when the programs cannot be run.
 */
export async function createPostgresEngine(input: PostgresEngineInput): Promise<Engine> {
  const { instance, observer, probe } = await makeInstance(input);
  return new ServerEngine(postgresAdapter(instance, observer, probe));
}

/**
 * The parts of an engine, for tests that stop a command between two steps.
 *
 * @param beforeWrite called before each file of the configuration is written
 */
export async function makeInstance(
  input: PostgresEngineInput,
  beforeWrite: (path: string) => void = () => undefined,
): Promise<{ readonly instance: Instance; readonly observer: Observer; readonly probe: Probe }> {
  const { log = () => undefined, clock = monotonicMs, ...rest } = input;
  const given = parseOptions(rest);
  const options = { ...given, dataDir: await realDataDir(given.dataDir) };
  const { version, major } = await readVersion(options);
  const catalog = await readCatalog(options);
  refuseParameters(options, catalog);
  const paths = pathsOf(options);
  const owner = options.runAs;
  const postmaster = postgresProcess({
    program: join(options.binaries.binDir, 'postgres'),
    libraryPath: options.binaries.libraryPath,
    dataDir: options.dataDir,
    logFile: paths.log,
    owner,
  });
  const instance: Instance = {
    options,
    paths,
    owner,
    expected: { cluster: options.cluster, major },
    version,
    postmaster,
    sql: new LocalSql(options, major),
    config: new ManagedConfig(options, paths, owner, catalog, beforeWrite),
    facts: new RunFacts(),
    acks: new AckTracker(options.cluster),
    notices: new Notices(log),
    memberSlots: new Set(),
    kept: new KeptFolders(options.dataDir, options.aside, (message, fields) => log({ level: 'warn', message, fields })),
    starts: new StartCount(),
    log,
    clockMs: clock,
    observe: () => observer.observe(),
  };
  const probe = new Probe(new PostgresProbe(instance));
  const observer = new Observer(instance, probe);
  await forgetIfUnkept(options.dataDir, paths.include);
  const running = await postmaster.adopt();
  if (running !== null) {
    await instance.config.adopt();
    await recallArmed(instance, running);
  }
  instance.kept.refresh();
  await removeDryStarts(options.runDir);
  return { instance, observer, probe };
}

/**
 * What is wrong with a node's own parameters, by what its server's program says of itself. Nothing is started.
 *
 * @throws EngineError `ENGINE_BINARY_MISSING` when the program does not answer.
 */
export async function checkNodeParameters(
  options: Pick<PostgresOptions, 'binaries' | 'runAs' | 'parameters'>,
): Promise<readonly ParameterProblem[]> {
  return parameterProblems(options.parameters, await readCatalog(options));
}

/** Wrong parameters of the node's own configuration are an operator's mistake that can be mended before anything starts. */
function refuseParameters(options: PostgresOptions, catalog: ParameterCatalog): void {
  const { problems } = checkParameters(options.parameters, 'this node', catalog);
  if (problems.length > 0) throw new EngineError('ENGINE_DATA_REFUSED', problems.join(' '));
}

const oldestMajor = 15;
const newestMajor = 18;

async function readVersion(options: PostgresOptions): Promise<{ version: string; major: number }> {
  const { binDir, libraryPath } = options.binaries;
  for (const program of ['postgres', 'initdb']) {
    await access(join(binDir, program), constants.X_OK).catch((error: unknown) => {
      const text = `There is no program "${program}" in ${binDir}.`;
      throw new EngineError('ENGINE_BINARY_MISSING', text, {
        next: 'Install PostgreSQL, or correct binDir.',
        cause: error,
      });
    });
  }
  const { code, output } = await runProgram(join(binDir, 'postgres'), ['--version'], {
    home: '/',
    libraryPath,
    owner: options.runAs,
    timeoutMs: 10_000,
    failure: 'ENGINE_BINARY_MISSING',
  });
  const [, version, number] = /\(PostgreSQL\) ((\d+)\S*)/.exec(output) ?? [];
  if (code !== 0 || version === undefined) {
    throw new EngineError('ENGINE_BINARY_MISSING', `${join(binDir, 'postgres')} does not run: ${tail(output)}`);
  }
  const major = Number(number);
  if (major < oldestMajor || major > newestMajor) {
    const text = `PostgreSQL ${version} in ${binDir} is not supported; use ${oldestMajor} to ${newestMajor}.`;
    throw new EngineError('ENGINE_BINARY_MISSING', text, { retry: 'unsafe' });
  }
  return { version, major };
}
