import { isIPv6 } from 'node:net';
import { monotonicMs } from '@understudy/base';
import { type Engine, EngineError, type ParameterProblem } from '@understudy/engine';
import { KeptFolders, Probe, realDataDir, ServerEngine, StartCount } from '@understudy/engine/host';
import { mysqlAdapter } from './adapter.ts';
import { OutgoingCopy } from './clone/outgoing.ts';
import { Spared } from './commands/spared.ts';
import { checkParameters, parameterProblems, readCatalog, type VariableCatalog } from './config/catalog.ts';
import { ManagedConfig } from './config/managed.ts';
import { dialectOf } from './dialect/dialect.ts';
import { readIdentity } from './disk/identity.ts';
import type { Instance } from './instance.ts';
import { LineBook } from './lines.ts';
import { AckTracker } from './observe/ack-tracker.ts';
import { EmptiedMemory } from './observe/emptied.ts';
import { ErrantFinds } from './observe/errant.ts';
import { LagWatch } from './observe/lag.ts';
import { Nudge } from './observe/nudge.ts';
import { Observer, SystemIdReader } from './observe/observer.ts';
import { OpenedMemory } from './observe/opened.ts';
import { OutsideChanges } from './observe/outside.ts';
import { MysqlProbe } from './observe/probe.ts';
import { RunFacts } from './observe/run-facts.ts';
import { TransactionSizes } from './observe/transaction-size.ts';
import { UpstreamMemory } from './observe/upstream.ts';
import { type MysqlEngineInput, type MysqlOptions, parseOptions } from './options.ts';
import { pathsOf } from './paths.ts';
import { mysqlProcess } from './process/server-process.ts';
import { findPrograms, type ServerPrograms } from './programs.ts';
import { LocalSql } from './sql/local.ts';
import { LaterWork } from './tail/later.ts';

export { checkParameters, type VariableCatalog } from './config/catalog.ts';
export { accounts as mysqlAccounts, ackAccount } from './names.ts';
export { type MysqlEngineInput, type MysqlOptions, mysqlOptionsSchema } from './options.ts';
export { type Flavour, findPrograms, type ServerPrograms } from './programs.ts';
export type { Row, Session } from './sql/session.ts';

/**
 * Makes the engine of one MySQL or MariaDB server. Nothing is started; a server that already runs on the data directory (an earlier
 * agent's) is taken over without touching it.
 *
 * @param input see `mysqlOptionsSchema`; `log` gets what an operator may want to read, never a secret.
 * @throws EngineError `ENGINE_DATA_REFUSED` for wrong options, `ENGINE_BINARY_MISSING` when the programs cannot be run.
 */
export async function createMysqlEngine(input: MysqlEngineInput): Promise<Engine> {
  const { log = () => undefined, clock = monotonicMs, openCopy = null, seam, ...rest } = input;
  const given = parseOptions(rest);
  const options = { ...given, dataDir: await realDataDir(given.dataDir) };
  const programs = await findPrograms(options);
  const catalog = await readCatalog(programs, options);
  refuseParameters(options, catalog, programs);
  refuseAddress(options, programs);
  const dialect = dialectOf(catalog, programs.version);
  const paths = pathsOf(options);
  const { dataDir, runAs: owner, cluster } = options;
  const { flavour, version, libraryPath } = programs;
  const server = mysqlProcess({ program: programs.server, libraryPath, dataDir, logFile: paths.log, owner });
  const sql = new LocalSql(options, paths, seam);
  const parts = { options, paths, owner, programs, dialect, sql, log };
  const systemId = new SystemIdReader();
  const instance: Instance = {
    ...parts,
    expected: { cluster, flavour, version },
    process: server,
    openCopy,
    outgoing: new OutgoingCopy(parts),
    tails: new LaterWork(),
    kept: new KeptFolders(dataDir, options.aside, (message, fields) => log({ level: 'warn', message, fields })),
    starts: new StartCount(),
    acks: new AckTracker(),
    spared: new Spared(),
    nudge: new Nudge(sql, dialect),
    config: new ManagedConfig(options, paths, programs, catalog),
    lines: new LineBook(),
    sizes: new TransactionSizes(),
    upstream: new UpstreamMemory(paths.runDir, owner, seam),
    opened: new OpenedMemory(paths.runDir, owner, seam),
    emptied: new EmptiedMemory(paths.runDir, owner, seam),
    outside: new OutsideChanges(log),
    facts: new RunFacts(),
    lag: new LagWatch(),
    errant: new ErrantFinds(),
    clockMs: clock,
    systemId: () => systemId.read(dataDir, server.running?.pid ?? null),
    seen: () => observer.seen,
    observe: () => observer.observe(),
  };
  const probe = new Probe(new MysqlProbe(instance));
  const observer = new Observer(instance, probe);
  await instance.outgoing.killLeftovers();
  const running = await server.adopt();
  if (running !== null) {
    await instance.config.adopt();
    instance.facts.of(running.pid).received = (await readIdentity(dataDir))?.received ?? 'unknown';
  }
  instance.kept.refresh();
  return new ServerEngine(mysqlAdapter(instance, observer, probe));
}

/**
 * What is wrong with a node's own parameters, by what its server's program says of itself. Nothing is started.
 *
 * @throws EngineError `ENGINE_BINARY_MISSING` when the program does not answer.
 */
export async function checkNodeParameters(
  options: Pick<MysqlOptions, 'binaries' | 'runAs' | 'parameters'>,
): Promise<readonly ParameterProblem[]> {
  const programs = await findPrograms(options);
  return parameterProblems(options.parameters, await readCatalog(programs, options), programs.flavour);
}

/** MySQL's CLONE takes host names and IPv4 addresses as its donor, nothing else: no member could be copied from here. */
function refuseAddress({ listen }: MysqlOptions, { flavour }: ServerPrograms): void {
  if (flavour !== 'mysql' || !isIPv6(listen.host) || listen.host === '::') return;
  const text = `MySQL cannot be copied from the address ${listen.host}: its CLONE takes no IPv6 address.`;
  const next = 'Give a host name that resolves to it as the address of the server (every member must resolve it).';
  throw new EngineError('ENGINE_DATA_REFUSED', text, { next });
}

/** Wrong parameters of the node's own configuration are an operator's mistake that can be mended before anything starts. */
function refuseParameters(options: MysqlOptions, catalog: VariableCatalog, { flavour }: ServerPrograms): void {
  const { problems } = checkParameters(options.parameters, 'this node', catalog, flavour);
  if (problems.length > 0) throw new EngineError('ENGINE_DATA_REFUSED', problems.join(' '));
}
