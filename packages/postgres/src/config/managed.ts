import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type MemberId, memberId } from '@understudy/core';
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
  syncFile,
  syncFolder,
} from '@understudy/engine/host';
import { z } from 'zod';
import { type ControlFile, limitParameters, readControlFile } from '../disk/control-file.ts';
import { engineError } from '../errors.ts';
import { blockingStandbyNames, memberRole, roles } from '../names.ts';
import { type Membership, sharesLogin } from '../observe/senders.ts';
import type { PostgresOptions } from '../options.ts';
import { hbaName, includeName, type Paths } from '../paths.ts';
import { checkParameters, type ParameterCatalog, parameterProblems } from './catalog.ts';
import { passwordFileContent, type RoleLogin } from './conninfo.ts';
import { renderHba } from './hba.ts';
import {
  fixedArguments,
  mergeParameters,
  provenSettings,
  type ReplicationSettings,
  renderInclude,
  stateOfInclude,
} from './settings.ts';
import { isOn } from './voiding.ts';

const replicationSchema = z.object({
  upstream: z.object({ member: z.string(), conninfo: z.string(), slot: z.string() }).nullable(),
  standbyNames: z.string(),
});

/** How every server starts: nobody to follow, and commits that would wait if it were opened by mistake. */
export const fenced: ReplicationSettings = { upstream: null, standbyNames: blockingStandbyNames };

/** What the cluster, and this member's tags, want of the server. */
interface Wanted extends Pick<ClusterContext, 'parameters' | 'synchronousCommit'> {
  readonly delayMs: number;
}

/** The files by which the server is configured, written as a whole from a few facts that are kept here. */
export class ManagedConfig {
  readonly #options: PostgresOptions;
  readonly #paths: Paths;
  readonly #owner: Owner;
  #replication: ReplicationSettings = fenced;
  #limits: ControlFile['limits'] | null = null;
  #cluster: Wanted = { parameters: {}, synchronousCommit: 'on', delayMs: 0 };
  #written: string | null = null;
  #generation = '';
  readonly #leftOut = new Map<string, { readonly value: string; readonly why: string }>();
  #overruled: readonly { readonly name: string; readonly text: string; readonly used: string }[] = [];
  #certificate: OwnCertificate | null = null;
  #logins: OwnLogins | null = null;
  #sharing: Membership['sharing'] = 'unknown';
  readonly #catalog: ParameterCatalog;

  readonly #beforeWrite: (path: string) => void;

  constructor(
    options: PostgresOptions,
    paths: Paths,
    owner: Owner,
    catalog: ParameterCatalog,
    beforeWrite: (path: string) => void = () => undefined,
  ) {
    this.#beforeWrite = beforeWrite;
    this.#options = options;
    this.#paths = paths;
    this.#owner = owner;
    this.#catalog = catalog;
  }

  get replication(): ReplicationSettings {
    return this.#replication;
  }

  get synchronousCommit(): ClusterContext['synchronousCommit'] {
    return this.#cluster.synchronousCommit;
  }

  /** Names the newest content of the include: a process that shows it has read the whole of it. */
  get generation(): string {
    return this.#generation;
  }

  /** Takes over what the cluster wants; says whether the files on disk are behind it. */
  learn(context: ClusterContext): 'behind' | 'written' {
    const { parameters, synchronousCommit, members, self } = context;
    this.#logins = context.logins ?? null;
    this.#sharing = new Set([...members.values()].filter(sharesLogin).map(({ id }) => id));
    this.#cluster = { parameters, synchronousCommit, delayMs: members.get(self)?.tags.delayMs ?? 0 };
    return this.#written === JSON.stringify(this.#cluster) ? 'written' : 'behind';
  }

  /** With which role this member replicates from that one's server. */
  loginTo(upstream: MemberId): RoleLogin {
    const slot = this.#logins?.at(upstream) ?? 'shared';
    const own = this.#logins?.passwords.find((login) => login.slot === slot);
    const { replication } = this.#options.secrets;
    if (own === undefined) return { user: roles.replication, password: replication };
    return { user: memberRole(memberId(this.#options.member), own.slot), password: own.password };
  }

  /** All that may be in use, whatever was chosen meanwhile. */
  #receiverLogins(): readonly RoleLogin[] {
    const { member, secrets } = this.#options;
    const own = (this.#logins?.passwords ?? []).map(({ slot, password }) => ({
      user: memberRole(memberId(member), slot),
      password,
    }));
    return [{ user: roles.replication, password: secrets.replication }, ...own];
  }

  /** Whether the server fetches log that is not here from an archive. */
  get restores(): 'yes' | 'no' {
    const command = { ...this.#options.parameters, ...this.#cluster.parameters }.restore_command ?? '';
    return command === '' ? 'no' : 'yes';
  }

  /** Whether replicas copy logical slots from the leader; older versions do not know the parameter. */
  get copiesSlots(): 'yes' | 'no' {
    return isOn(this.merged().sync_replication_slots ?? 'off') ? 'yes' : 'no';
  }

  /** Parameters of the cluster that this server would not take, with the reason; they are left out. */
  problems(): readonly string[] {
    const { good, problems } = checkParameters(this.#cluster.parameters, 'the cluster', this.#catalog);
    const raised = limitParameters
      .filter((name) => Number(good[name]) < (this.#limits?.[name] ?? 0))
      .map(
        (name) =>
          `The parameter ${name} stays at ${this.#limits?.[name]}: every server here starts as a standby, and a standby cannot start with less than its primary had.`,
      );
    const leftOut = [...this.#leftOut]
      .filter(([name, { value }]) => good[name] === value)
      .map(
        ([name, { why }]) =>
          `The parameter ${name} of the cluster is left out: the server does not start with it: ${why}`,
      );
    const overruled = this.#overruled.map(
      ({ name, text, used }) =>
        `ALTER SYSTEM sets ${name} to ${text}, with which no standby of this history starts: ${used} is used (ALTER SYSTEM RESET ${name}).`,
    );
    return [...problems, ...leftOut, ...raised, ...overruled];
  }

  /** What is wrong with parameters that are not the cluster's yet. */
  check(parameters: Readonly<Record<string, string>>): readonly ParameterProblem[] {
    return parameterProblems(parameters, this.#catalog);
  }

  /** The parameters as the include has them, or would have them with `more` in the cluster's. */
  merged(more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
    const wanted = { ...this.#cluster.parameters, ...more };
    const { good } = checkParameters(wanted, 'the cluster', this.#catalog);
    const taken = Object.entries(good).filter(([name, value]) => this.#leftOut.get(name)?.value !== value);
    return mergeParameters({
      node: this.#options.parameters,
      cluster: Object.fromEntries(taken),
      limits: this.#limits,
    });
  }

  /** The cluster's parameters that are in the include, by name in lower case. */
  taken(): Readonly<Record<string, string>> {
    const { good } = checkParameters(this.#cluster.parameters, 'the cluster', this.#catalog);
    return Object.fromEntries(Object.entries(good).filter(([name, value]) => this.#leftOut.get(name)?.value !== value));
  }

  /** Leaves a parameter of the cluster out, with which the server does not start, until it has another value. */
  leaveOut(name: string, value: string, why: string): void {
    this.#leftOut.set(name, { value, why });
  }

  /** Reads what an earlier agent wrote, when its server is still running. */
  async adopt(): Promise<void> {
    const text = await readIfThere(this.#paths.include);
    const state = text === null ? null : stateOfInclude(text);
    const parsed = state === null ? null : replicationSchema.safeParse(JSON.parse(state));
    if (parsed?.success) this.#replication = parsed.data;
    this.#limits = (await readControlFile(this.#paths.dataDir)).limits;
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

  /** How the streams of members are told from others. */
  get membership(): Membership {
    const identity = this.#certificate?.identity ?? 'authority';
    return { cluster: this.#options.cluster, identity, sharing: this.#sharing };
  }

  /** What stands about this node's certificate. @param host by which the others reach this member. */
  certificateWarnings(host: string | undefined): readonly string[] {
    const { tls } = this.#options;
    if (tls === null || this.#certificate === null) return [];
    return certificateWarnings(this.#certificate, tls.verify, host);
  }

  /** Writes the include (and first the receiver's password, or its absence). The server must be told to reload. */
  async write(replication: ReplicationSettings): Promise<void> {
    const cached = { durability: 'cached' } as const;
    // Written first: from here on no new receiver of a sealed server can log in anywhere.
    const logins = replication.upstream === null ? null : this.#receiverLogins();
    this.#beforeWrite(this.#paths.passwordFile);
    await replaceFile(this.#paths.passwordFile, passwordFileContent(logins), this.#owner, cached);
    // A wrong parameter of the cluster must never keep a node from being sealed: it is left out, and a warning says so.
    const parameters = this.merged();
    const tls = this.#tlsSettings();
    this.#generation = randomBytes(6).toString('hex');
    const { synchronousCommit, delayMs } = this.#cluster;
    const more = { synchronousCommit, delayMs, tls, generation: this.#generation };
    this.#beforeWrite(this.#paths.include);
    await replaceFile(this.#paths.include, renderInclude(replication, parameters, more), this.#owner, cached);
    this.#replication = replication;
    this.#written = JSON.stringify(this.#cluster);
  }

  /** Makes what was written last survive a loss of power. */
  async sync(): Promise<void> {
    this.#beforeWrite('sync');
    await Promise.all([this.#paths.passwordFile, this.#paths.include].map(syncFile));
    await Promise.all([this.#paths.runDir, this.#paths.dataDir].map(syncFolder));
  }

  /** Whether any start of the stopped server, by anybody, would be sealed: a standby that follows nobody and whose commits wait for ever. */
  async isSealedAtRest(): Promise<boolean> {
    const text = await readIfThere(this.#paths.include);
    // A new database has not been configured yet, and was never open.
    if (text === null) return true;
    return stateOfInclude(text) === JSON.stringify(fenced) && (await readIfThere(this.#paths.standbySignal)) !== null;
  }

  /** Leaves a stopped server so that `isSealedAtRest`, which makes its end a proof. */
  async sealAtRest(): Promise<void> {
    await this.write(fenced);
    await this.sync();
    if ((await readIfThere(this.#paths.standbySignal)) === null)
      await replaceFile(this.#paths.standbySignal, '', this.#owner);
  }

  /** Limits that ALTER SYSTEM has set lower than the server's history demands: they would win over ours. */
  async #tooLow(limits: ControlFile['limits']): Promise<readonly { name: string; text: string; used: string }[]> {
    const merged = this.merged();
    const set = await readAutoConf(this.#paths.dataDir);
    return limitParameters.flatMap((name) => {
      const found = set.findLast((line) => line.name === name);
      if (found === undefined || Number(found.value) >= limits[name]) return [];
      return [{ name, text: found.value, used: merged[name] ?? String(limits[name]) }];
    });
  }

  #tlsSettings(): Record<string, string> {
    if (this.#options.tls === null) return {};
    const { ca, cert, key } = this.#paths.tls;
    return { ssl: 'on', ssl_ca_file: ca, ssl_cert_file: cert, ssl_key_file: key };
  }

  /** Writes everything that a start needs, fenced. `control` is the data directory's own. */
  async prepareStart(control: ControlFile): Promise<void> {
    this.#limits = control.limits;
    await makeFolder(this.#paths.runDir, this.#owner);
    await this.appendInclude();
    await refuseOverrides(this.#paths.dataDir);
    await this.copyUserFiles(() => undefined);
    await this.write(fenced);
    this.#overruled = await this.#tooLow(control.limits);
    await replaceFile(this.#paths.standbySignal, '', this.#owner);
  }

  /**
   * Copies what the user may change at any time: `pg_hba.conf` into our own access file, and the certificate files to where
   * the server's user may read them and nobody else.
   *
   * @param changed called once when anything changed, so that the server must reload: also when a later file fails.
   */
  async copyUserFiles(changed: () => void): Promise<void> {
    const changes: ('changed' | 'same')[] = [];
    try {
      await this.#copyUserFiles(changes);
    } finally {
      if (changes.includes('changed')) changed();
    }
  }

  async #copyUserFiles(changes: ('changed' | 'same')[]): Promise<void> {
    const users = (await readIfThere(join(this.#paths.dataDir, 'pg_hba.conf'))) ?? '';
    const { tls, allowFrom } = this.#options;
    const hba = Buffer.from(renderHba(allowFrom, tls === null ? 'plain' : 'tls', users, this.copiesSlots));
    changes.push(await this.#replaceIfDifferent(this.#paths.hba, hba));
    if (tls === null) return;
    for (const name of ['ca', 'cert', 'key'] as const) {
      const content = await readBytes(tls[name]).catch((error: unknown) => {
        throw engineError('ENGINE_START_FAILED', `Reading the TLS ${name} file ${tls[name]}`, error, 'safe');
      });
      if (name === 'cert') this.#learnCertificate(content);
      changes.push(await this.#replaceIfDifferent(this.#paths.tls[name], content));
    }
  }

  async #replaceIfDifferent(path: string, content: Buffer): Promise<'changed' | 'same'> {
    const present = await readBytes(path).catch(() => null);
    if (present?.equals(content)) return 'same';
    await replaceFile(path, content, this.#owner);
    return 'changed';
  }

  /** Makes sure that `postgresql.conf` reads our include last. */
  async appendInclude(): Promise<'moved' | 'last already'> {
    const file = join(this.#paths.dataDir, 'postgresql.conf');
    const text = (await readIfThere(file)) ?? '';
    const line = `include_if_exists = '${includeName}'`;
    if (text.trimEnd().endsWith(line)) return 'last already';
    const without = text.replaceAll(`${line}\n`, '').trimEnd();
    await replaceFile(file, `${without}\n\n# Understudy: keep this the last line\n${line}\n`, this.#owner);
    return 'moved';
  }

  /** Arguments of the server's command line. */
  startArguments(): string[] {
    const { listen } = this.#options;
    const server = { host: listen.host, port: listen.port, socketDir: this.#paths.runDir, hbaFile: hbaName };
    return [...fixedArguments(server), ...this.#overruled.flatMap(({ name, used }) => ['-c', `${name}=${used}`])];
  }
}

export interface AutoConfLine {
  readonly line: number;
  readonly name: string;
  readonly value: string;
}

/** What ALTER SYSTEM has set: the server writes one `name = 'value'` a line. */
export async function readAutoConf(dataDir: string): Promise<readonly AutoConfLine[]> {
  const lines = ((await readIfThere(join(dataDir, 'postgresql.auto.conf'))) ?? '').split('\n');
  return lines.flatMap((text, index) => {
    const [, name, value] = /^\s*([a-z_][a-z0-9_.]*)\s*=?\s*(.*?)\s*$/i.exec(text) ?? [];
    if (name === undefined || value === undefined) return [];
    return [
      { line: index + 1, name: name.toLowerCase(), value: value.replace(/^'(.*)'$/, '$1').replaceAll("''", "'") },
    ];
  });
}

/**
 * Refuses a data directory whose `postgresql.auto.conf` (written by ALTER SYSTEM, read after ours) sets what Understudy must set.
 *
 * @throws EngineError `ENGINE_DATA_REFUSED` with file, line and what to do.
 */
async function refuseOverrides(dataDir: string): Promise<void> {
  const file = join(dataDir, 'postgresql.auto.conf');
  const lines = ((await readIfThere(file)) ?? '').split('\n');
  for (const [index, line] of lines.entries()) {
    const name = /^\s*([a-z_.]+)\s*=?/i.exec(line)?.[1]?.toLowerCase();
    if (!provenSettings.some((setting) => setting === name)) continue;
    const text = `${file}:${index + 1} sets ${name}, which Understudy must set itself; it would win over ours.`;
    throw new EngineError('ENGINE_DATA_REFUSED', text, { next: `Remove that line (ALTER SYSTEM RESET ${name}).` });
  }
}
