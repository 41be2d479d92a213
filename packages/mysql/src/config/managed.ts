import { readFile } from 'node:fs/promises';
import type { MemberId } from '@understudy/core';
import type { ClusterContext, ParameterProblem } from '@understudy/engine';
import { EngineError } from '@understudy/engine';
import { makeFolder, type Owner, readIfThere, replaceFile } from '@understudy/engine/host';
import { engineError, reasonOf } from '../errors.ts';
import type { MysqlOptions } from '../options.ts';
import type { Paths } from '../paths.ts';
import type { ServerPrograms } from '../programs.ts';
import { accountStatements } from './accounts.ts';
import { checkParameters, parameterProblems, type VariableCatalog } from './catalog.ts';
import { type Parameters, parametersOf, renderConfig, serverSettings } from './file.ts';
import { reservedReason, type Settings, settingsProfiles } from './settings.ts';

/** The files by which the server is configured, written as a whole from a few facts that are kept here. */
export class ManagedConfig {
  readonly #options: MysqlOptions;
  readonly #paths: Paths;
  readonly #owner: Owner;
  readonly #programs: ServerPrograms;
  readonly #catalog: VariableCatalog;
  #cluster: Parameters = {};
  #members: readonly MemberId[] = [];
  #started: Parameters = {};

  constructor(options: MysqlOptions, paths: Paths, programs: ServerPrograms, catalog: VariableCatalog) {
    this.#options = options;
    this.#paths = paths;
    this.#owner = options.runAs;
    this.#programs = programs;
    this.#catalog = catalog;
  }

  /** Takes over what the cluster wants. */
  learn(context: Pick<ClusterContext, 'parameters' | 'members'>): void {
    this.#cluster = context.parameters;
    this.#members = [...context.members.keys()];
  }

  /** Parameters of the cluster that this server would not take, with the reason; they are left out. */
  problems(): readonly string[] {
    return checkParameters(this.#cluster, 'the cluster', this.#catalog, this.#programs.flavour).problems;
  }

  /** What is wrong with parameters that are not the cluster's yet. */
  check(parameters: Parameters): readonly ParameterProblem[] {
    return parameterProblems(parameters, this.#catalog, this.#programs.flavour);
  }

  /** The parameters that are wanted now and may be set by anybody: those of the cluster win over this node's. */
  wanted(): Parameters {
    const { flavour } = this.#programs;
    const node = checkParameters(this.#options.parameters, 'this node', this.#catalog, flavour).good;
    // A wrong parameter of the cluster must never keep a node from starting: it is left out, and a warning says so.
    return { ...node, ...checkParameters(this.#cluster, 'the cluster', this.#catalog, flavour).good };
  }

  /** What the running server was started with. */
  started(): Parameters {
    return this.#started;
  }

  /** Reads what an earlier agent wrote, when its server is still running. */
  async adopt(): Promise<void> {
    this.#started = parametersOf((await readIfThere(this.#paths.config)) ?? '');
  }

  /**
   * Every setting of the server, in the order of the file: later ones win.
   *
   * @param serverId the number that it writes under; by default the one of the options.
   */
  settings(serverId = this.#options.serverId): Settings {
    const { fixed, defaults } = settingsProfiles[this.#programs.flavour];
    const wanted = this.wanted();
    return [
      ...defaults.filter(([name]) => wanted[name] === undefined),
      ...Object.entries(wanted),
      ...fixed.map(([name, value]) => [name, value] as const),
      ...this.placement(this.#paths.dataDir),
      ['bind_address', this.#options.listen.host],
      ['port', String(this.#options.listen.port)],
      ['server_id', String(serverId)],
      ['socket', this.#paths.socket],
      ['pid_file', this.#paths.pidFile],
      ['tmpdir', this.#paths.temporary],
      ['init_file', this.#paths.initFile],
      ...this.#tls(),
    ];
  }

  /** Where the server's programs and its data are; also for servers that run only for a moment. */
  placement(dataDir: string): Settings {
    // As root and without another user, the server runs only when it is told so.
    const asRoot = process.getuid?.() === 0 && this.#owner === null ? ([['user', 'root']] as const) : [];
    return [['basedir', this.#programs.baseDir], ['datadir', dataDir], ...asRoot];
  }

  #tls(): Settings {
    if (this.#options.tls === null) return [];
    const { ca, cert, key } = this.#paths.tls;
    return [
      ['ssl_ca', ca],
      ['ssl_cert', cert],
      ['ssl_key', key],
    ];
  }

  /**
   * Writes everything that a start needs, fenced.
   *
   * @throws EngineError `ENGINE_DATA_REFUSED` when the user's own file sets what only Understudy may set.
   */
  async prepareStart(serverId = this.#options.serverId): Promise<void> {
    await makeFolder(this.#paths.runDir, this.#owner);
    await makeFolder(this.#paths.temporary, this.#owner);
    await refuseUserSettings(this.#options.userConfig, this.#programs);
    await this.copyCertificates();
    const statements = accountStatements(this.#options.secrets.admin, this.#members);
    await replaceFile(this.#paths.initFile, statements, this.#owner);
    this.#started = this.wanted();
    await replaceFile(
      this.#paths.config,
      renderConfig(this.#options.userConfig, this.settings(serverId), this.#started),
      this.#owner,
    );
  }

  /** Copies the certificate files to where the server's user may read them and nobody else. */
  async copyCertificates(): Promise<'changed' | 'same'> {
    const { tls } = this.#options;
    if (tls === null) return 'same';
    let result: 'changed' | 'same' = 'same';
    for (const name of ['ca', 'cert', 'key'] as const) {
      const content = await readFile(tls[name]).catch((error: unknown) => {
        throw engineError('ENGINE_START_FAILED', `Reading the TLS ${name} file ${tls[name]}`, error, 'safe');
      });
      const present = await readFile(this.#paths.tls[name]).catch(() => null);
      if (present?.equals(content)) continue;
      await replaceFile(this.#paths.tls[name], content, this.#owner);
      result = 'changed';
    }
    return result;
  }

  /**
   * Arguments of the server's command line: no more than the file with everything else.
   *
   * @param recovery `cut`: it rolls back what is in MariaDB's log and not in its tables, and cuts it off the log. For one start.
   */
  startArguments(recovery: 'whole' | 'cut' = 'whole'): readonly string[] {
    return [`--defaults-file=${this.#paths.config}`, ...(recovery === 'cut' ? ['--init-rpl-role=SLAVE'] : [])];
  }
}

async function refuseUserSettings(userConfig: string | null, programs: ServerPrograms): Promise<void> {
  if (userConfig === null) return;
  const text = await readFile(userConfig, 'utf8').catch((error: unknown) => {
    const next = 'Correct its path or its permissions.';
    const problem = `The configuration file ${userConfig} cannot be read: ${reasonOf(error)}. ${next}`;
    throw new EngineError('ENGINE_DATA_REFUSED', problem, 'unsafe', { cause: error });
  });
  for (const { name, value, line } of serverSettings(text)) {
    const reason = reservedReason(name, programs.flavour);
    if (reason === null) continue;
    const setting = value === null ? name : `${name} = ${value}`;
    const problem = `${userConfig}:${line} sets ${setting}, which Understudy sets itself (${reason}). Remove that line.`;
    throw new EngineError('ENGINE_DATA_REFUSED', problem, 'unsafe');
  }
}
