import { reasonOf } from '@understudy/base';
import { type Member, type MemberId, type MemberLogins, memberId } from '@understudy/core';
import type { ClusterContext, OwnLogins, ParameterProblem } from '@understudy/engine';
import { EngineError } from '@understudy/engine';
import {
  certificateWarnings,
  makeFolder,
  type OwnCertificate,
  type Owner,
  ownCertificate,
  readBytes,
  readIfThere,
  replaceFile,
} from '@understudy/engine/host';
import { readIdentity } from '../disk/identity.ts';
import { engineError } from '../errors.ts';
import { ackAccount, ownAccount } from '../names.ts';
import type { MysqlOptions } from '../options.ts';
import type { Paths } from '../paths.ts';
import type { Flavour, ServerPrograms } from '../programs.ts';
import { accountStatements } from './accounts.ts';
import { atMaking, countsAtMaking, madeOtherwise } from './at-making.ts';
import { checkParameters, parameterProblems, type VariableCatalog } from './catalog.ts';
import { type Parameters, parametersOf, renderConfig, serverSettings } from './file.ts';
import { transportReason } from './hindrances.ts';
import { memoryStatements } from './memory-tables.ts';
import { rehearse } from './rehearse.ts';
import { canonicalName, reservedReason, type Settings, settingsProfiles } from './settings.ts';
import { ParameterTrial } from './trial.ts';

/** The files by which the server is configured, written as a whole from a few facts that are kept here. */
export class ManagedConfig {
  readonly #options: MysqlOptions;
  readonly #paths: Paths;
  readonly #owner: Owner;
  readonly #programs: ServerPrograms;
  readonly #catalog: VariableCatalog;
  #cluster: Parameters = {};
  readonly #trial: ParameterTrial;
  #members: readonly Member[] = [];
  #logins: OwnLogins | null = null;
  #started: Parameters = {};
  /** What the present database was made with; null: there is none yet, or its identity was not read yet. */
  #made: Parameters | null = null;
  #certificate: OwnCertificate | null = null;

  constructor(options: MysqlOptions, paths: Paths, programs: ServerPrograms, catalog: VariableCatalog) {
    this.#options = options;
    this.#paths = paths;
    this.#owner = options.runAs;
    this.#programs = programs;
    this.#catalog = catalog;
    this.#trial = new ParameterTrial(`${paths.config}.good`, this.#owner);
  }

  /** Takes over what the cluster wants. */
  learn(context: Pick<ClusterContext, 'parameters' | 'members' | 'logins'>): void {
    this.#cluster = context.parameters;
    this.#members = [...context.members.values()];
    this.#logins = context.logins ?? null;
  }

  /** What a member has registered of its logins; undefined: its agent is of a version without. */
  loginsOf(member: MemberId): MemberLogins | undefined {
    return this.#members.find(({ id }) => id === member)?.logins;
  }

  /** With what this member acknowledges to that one's server. */
  loginTo(upstream: MemberId): { readonly user: string; readonly password: string } {
    const self = memberId(this.#options.member);
    const slot = this.#logins?.at(upstream) ?? 'shared';
    const own = this.#logins?.passwords.find((login) => login.slot === slot);
    if (own === undefined) return { user: ackAccount(self), password: this.#options.secrets.replication };
    return { user: ownAccount(self, own.slot), password: own.password };
  }

  /** Parameters of the cluster that this server would not take, with the reason; they are left out. */
  problems(): readonly string[] {
    const { good, problems } = checkParameters(this.#cluster, 'the cluster', this.#catalog, this.#programs.flavour);
    const refused = Object.entries({ ...this.#ownGood(), ...good }).flatMap(([name, value]) => {
      const problem = this.#problemHere(name, value);
      return problem === null ? [] : [`The parameter ${name} ${problem}`];
    });
    return [...problems, ...refused, ...this.#trial.warnings(this.#asked())];
  }

  /** What is wrong with parameters that are not the cluster's yet. */
  async check(parameters: Parameters): Promise<readonly ParameterProblem[]> {
    const { flavour } = this.#programs;
    const { good } = checkParameters(parameters, 'the cluster', this.#catalog, flavour);
    const found = [...parameterProblems(parameters, this.#catalog, flavour)];
    const bad = await rehearse(this.#programs, this.#options, good, this.wanted());
    for (const [name, value] of Object.entries(good)) {
      const words = bad[name];
      const dry = words === undefined ? null : `has a value with which the server would not start (${words}).`;
      const problem = dry ?? this.#problemHere(name, value);
      if (problem !== null) found.push({ name, problem });
    }
    return found;
  }

  /** Why a value cannot be had with the present database; null when it can. */
  #problemHere(name: string, value: string): string | null {
    const insecure = transportReason(canonicalName(name), value, this.#options.tls);
    if (insecure !== null) return `must not be ${value} (${insecure})`;
    if (this.#made === null || !countsAtMaking(name, this.#programs.flavour)) return null;
    return madeOtherwise(name, value, this.#made);
  }

  #ownGood(): Parameters {
    return checkParameters(this.#options.parameters, 'this node', this.#catalog, this.#programs.flavour).good;
  }

  /** What this node and the cluster ask for, and the names of which are right. */
  #asked(): Parameters {
    // A wrong parameter of the cluster must never keep a node from starting: it is left out, and a warning says so.
    const { good } = checkParameters(this.#cluster, 'the cluster', this.#catalog, this.#programs.flavour);
    const all = Object.entries({ ...this.#ownGood(), ...good });
    const { tls } = this.#options;
    return Object.fromEntries(all.filter(([name, value]) => transportReason(canonicalName(name), value, tls) === null));
  }

  /** The parameters that are wanted now and may be set by anybody: those of the cluster win over this node's. */
  wanted(): Parameters {
    const asked = this.#trial.allowed(this.#asked());
    if (this.#made === null) return asked;
    const { flavour } = this.#programs;
    const rest = Object.entries(asked).filter(([name]) => !countsAtMaking(name, flavour));
    return { ...Object.fromEntries(rest), ...this.#made };
  }

  /** What a new database is to be made with. */
  forMaking(): Parameters {
    return atMaking(this.#asked(), this.#programs.flavour);
  }

  /** Takes note of what the present database was made with. */
  async learnMade(): Promise<void> {
    this.#made = (await readIdentity(this.#paths.dataDir))?.made ?? null;
  }

  /** Finds out, before a server is stopped, which parameters it would not start with again. */
  async rehearse(): Promise<void> {
    const wanted = this.wanted();
    if (this.#trial.isProven(wanted)) return;
    this.#trial.refuse(wanted, await rehearse(this.#programs, this.#options, wanted));
  }

  /** The server answers: what it was started with is good. */
  async proven(): Promise<void> {
    await this.#trial.proven(this.#started);
  }

  /**
   * The server did not start.
   *
   * @returns `other`: another start, with the parameters that it last ran with, is worth a try.
   */
  blame(words: string): 'other' | 'same' {
    return this.#trial.blame(this.#asked(), this.#started, words);
  }

  /** What the running server was started with. */
  started(): Parameters {
    return this.#started;
  }

  /** Reads what an earlier agent wrote, when its server is still running. */
  async adopt(): Promise<void> {
    this.#started = parametersOf((await readIfThere(this.#paths.config)) ?? '');
    await this.learnMade();
    await this.#trial.load();
    // One that cannot be read now is said by the next look, and keeps nobody from taking the server over.
    if (this.#options.tls !== null) {
      await readBytes(this.#options.tls.cert)
        .then((pem) => this.#learnCertificate(pem))
        .catch(() => undefined);
    }
  }

  #learnCertificate(pem: Buffer): void {
    this.#certificate = ownCertificate(pem, this.#options.member, this.#options.tls?.identity);
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

  /** What CLONE compares, of a source that has the same parameters. */
  alike(): Settings {
    const wanted = Object.entries(this.wanted());
    const compared = wanted.filter(([name]) => /^(character_set_server|collation_server|mysqlx|federated)$/.test(name));
    return [['mysqlx', 'OFF'], ...compared];
  }

  /** What a server that runs for a moment on a copy must have as the cluster has: what is loaded into it, and keys of encryption. */
  helperSettings(): Settings {
    return Object.entries(this.wanted()).filter(([name]) => /^(plugin_|file_key_|innodb_encrypt|encrypt_)/.test(name));
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
    await refuseUserSettings(this.#options, this.#programs);
    await this.copyCertificates();
    await this.learnMade();
    await this.#trial.load();
    await this.rehearse();
    const { flavour } = this.#programs;
    const logins = accountStatements(flavour, this.#options.secrets.admin, this.#members);
    // Last: MySQL leaves out what comes after a statement that failed.
    await replaceFile(this.#paths.initFile, logins + memoryStatements[flavour], this.#owner);
    this.#started = this.wanted();
    await replaceFile(
      this.#paths.config,
      renderConfig(this.#options.userConfig, this.settings(serverId), this.#started),
      this.#owner,
    );
  }

  /** Whether certificates have the names of members: see `OwnCertificate`. */
  get identity(): OwnCertificate['identity'] {
    return this.#certificate?.identity ?? 'authority';
  }

  /** What stands about this node's certificate. @param host by which the others reach this member. */
  certificateWarnings(host: string | undefined): readonly string[] {
    const { tls } = this.#options;
    if (tls === null || this.#certificate === null) return [];
    return certificateWarnings(this.#certificate, tls.verify, host);
  }

  /** Copies the certificate files to where the server's user may read them and nobody else. */
  async copyCertificates(): Promise<'changed' | 'same'> {
    const { tls } = this.#options;
    if (tls === null) return 'same';
    let result: 'changed' | 'same' = 'same';
    for (const name of ['ca', 'cert', 'key'] as const) {
      const content = await readBytes(tls[name]).catch((error: unknown) => {
        throw engineError('ENGINE_START_FAILED', `Reading the TLS ${name} file ${tls[name]}`, error, 'safe');
      });
      if (name === 'cert') this.#learnCertificate(content);
      const present = await readBytes(this.#paths.tls[name]).catch(() => null);
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

/** A copy could not know it. */
const makingReason = (name: string, flavour: Flavour): string | null =>
  countsAtMaking(canonicalName(name), flavour)
    ? 'it counts only when a database is made; set it under engine.parameters'
    : null;

async function refuseUserSettings(
  { userConfig, tls }: Pick<MysqlOptions, 'userConfig' | 'tls'>,
  programs: ServerPrograms,
): Promise<void> {
  if (userConfig === null) return;
  const bytes = await readBytes(userConfig).catch((error: unknown) => {
    const next = 'Correct its path or its permissions.';
    const problem = `The configuration file ${userConfig} cannot be read: ${reasonOf(error)}.`;
    throw new EngineError('ENGINE_DATA_REFUSED', problem, { next, cause: error });
  });
  for (const { name, value, line } of serverSettings(bytes.toString('utf8'))) {
    const { flavour } = programs;
    const reason =
      reservedReason(name, flavour, value ?? '') ??
      makingReason(name, flavour) ??
      transportReason(canonicalName(name), value, tls);
    if (reason === null) continue;
    const setting = value === null ? name : `${name} = ${value}`;
    const problem = `${userConfig}:${line} sets ${setting}, which Understudy sets itself (${reason}).`;
    throw new EngineError('ENGINE_DATA_REFUSED', problem, { next: 'Remove that line.' });
  }
}
