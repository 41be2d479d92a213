import { access, constants, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  formatAddress,
  loadSecrets,
  loadTokens,
  type NodeConfig,
  plainLinks,
  refuseExposedKeys,
} from '@understudy/agent/client';
import { codeOf } from '@understudy/base';
import type { ParameterProblem } from '@understudy/engine';
import { serverUser } from '@understudy/servers';
import { type Context, print, printJson } from '../context.ts';
import { engineFacts } from '../engine/facts.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { failureOf } from '../failure.ts';

interface Finding {
  readonly what: string;
  readonly kind: 'good' | 'bad';
  readonly text: string;
  /** What to do about a bad one. */
  readonly next: string;
}

/**
 * `agent --check`: everything that an agent would find out when it starts, without starting anything. The file itself has been
 * checked by the caller.
 */
export async function checkNode(context: Context, file: string, config: NodeConfig): Promise<ExitCode> {
  const findings = await Promise.all([
    look('secrets', async () => {
      const { member } = await loadSecrets(config.secretsFile);
      await refuseExposedKeys(config);
      const missing =
        member === undefined ? '; agents know each other by what follows from "superuser", as it has no "member"' : '';
      return `${config.secretsFile} has the four passwords and is private, as are the private keys${missing}`;
    }),
    look('token', async () => {
      const { tokenFile } = config.api;
      if (tokenFile === undefined) return whoChanges(config);
      const tokens = await loadTokens(tokenFile);
      return `${tokenFile} is private: ${tokens.map(({ role, name }) => `${name} may ${role}`).join(', ')}`;
    }),
    look('links', async () => `${linksText(config)}${await sharedAuthority(config)}`),
    look('api', async () => `listens on ${formatAddress(config.api.listen)}, ${await certificates(config)}`),
    look('server', async () => `${await serverText(config)}; ${await parametersText(config)}`),
    look('data', () => dataText(config)),
    look('store', () => storeText(config)),
  ]);
  const bad = findings.filter(({ kind }) => kind === 'bad');
  if (context.format === 'json') printJson(context, { file, result: bad.length === 0 ? 'good' : 'bad', findings });
  else {
    const { style } = context;
    print(context, [
      `${style.green('ok')}   ${'file'.padEnd(8)} ${file}: cluster ${config.cluster}, member ${config.member}`,
      ...findings.flatMap(({ what, kind, text, next }) => [
        `${kind === 'good' ? style.green('ok ') : style.red('bad')}  ${what.padEnd(8)} ${text}`,
        ...(next === '' ? [] : [`     ${''.padEnd(8)} ${style.dim('→')} ${next}`]),
      ]),
    ]);
  }
  return bad.length === 0 ? EXIT.done : EXIT.usage;
}

async function look(what: string, check: () => Promise<string>): Promise<Finding> {
  try {
    return { what, kind: 'good', text: await check(), next: '' };
  } catch (error) {
    const { message, next } = failureOf(error);
    return { what, kind: 'bad', text: message, next };
  }
}

function whoChanges({ api }: NodeConfig): string {
  if (api.loopback === 'trusted') return 'no api.tokenFile: every user of this machine may change everything';
  const named = api.certificates.filter(({ role }) => role === 'operate' || role === 'admin').map(({ name }) => name);
  if (api.tls === undefined || api.tls.clientCert === 'none' || named.length === 0) {
    return 'no api.tokenFile, and no certificate that may change anything: nobody can';
  }
  return `no api.tokenFile: changes need a certificate of ${named.join(', ')}`;
}

/** A file in which they are not accepted was refused before. */
function linksText(config: NodeConfig): string {
  const plain = plainLinks(config).map(({ text }) => text);
  return plain.length === 0
    ? 'all that leave this machine are encrypted'
    : `accepted by "insecure: true": ${plain.join('; ')}`;
}

/** With one authority for both, the key of `engine.tls`, which the server's user has, opens the API as this member. */
async function sharedAuthority({ api, engine }: NodeConfig): Promise<string> {
  if (api.tls === undefined || engine.tls === undefined) return '';
  const [ofApi, ofEngine] = await Promise.all([readFile(api.tls.ca), readFile(engine.tls.ca)]);
  return ofApi.equals(ofEngine)
    ? "; API and databases have one authority, so the server's user can call the API as this member (docs/three-hosts.md has one for each)"
    : '';
}

async function certificates(config: NodeConfig): Promise<string> {
  const { tls } = config.api;
  if (tls === undefined) return 'without TLS';
  for (const path of [tls.ca, tls.cert, tls.key]) await access(path, constants.R_OK);
  return `with TLS (client certificates: ${tls.clientCert})`;
}

async function serverText({ engine }: NodeConfig): Promise<string> {
  if (engine.kind !== 'postgres') {
    const { mysqlFor } = await import('../engine/mysql.ts');
    const { version, binDir } = await mysqlFor(engine);
    return `${engineFacts(engine.kind).title} ${version} in ${binDir}; server_id ${engine.serverId}`;
  }
  const { postgresFor } = await import('../engine/postgres.ts');
  const { version, binDir, tools } = await postgresFor(engine);
  const rewind = tools.pgRewind === null ? 'no pg_rewind: diverged members are cloned' : 'pg_rewind is available';
  return `PostgreSQL ${version} in ${binDir}; ${rewind}`;
}

/** The server parameters of this node's own: an agent refuses to start with a wrong one. */
async function parametersText({ engine }: NodeConfig): Promise<string> {
  const problems = await parameterProblemsOf(engine);
  if (problems.length > 0) {
    const text = problems.map(({ name, problem }) => `engine.parameters.${name} ${problem}`).join(' ');
    throw new CliError('USAGE', text, { next: 'Correct engine.parameters in the file.' });
  }
  const count = Object.keys(engine.parameters).length;
  return count === 0 ? 'no parameters of its own' : `${count} parameter${count === 1 ? '' : 's'} of its own`;
}

async function parameterProblemsOf(engine: NodeConfig['engine']): Promise<readonly ParameterProblem[]> {
  const user = serverUser();
  const runAs = user === null ? null : { uid: user.uid, gid: user.gid };
  const { parameters } = engine;
  if (engine.kind === 'postgres') {
    const { postgresFor } = await import('../engine/postgres.ts');
    const { checkNodeParameters } = await import('@understudy/postgres');
    const { binDir } = await postgresFor(engine);
    return checkNodeParameters({ binaries: { binDir }, runAs, parameters });
  }
  const { mysqlFor } = await import('../engine/mysql.ts');
  const { checkNodeParameters } = await import('@understudy/mysql');
  const { baseDir, tools } = await mysqlFor(engine);
  return checkNodeParameters({ binaries: { baseDir, server: tools.server }, runAs, parameters });
}

async function dataText(config: NodeConfig): Promise<string> {
  const { dataDir } = config.engine;
  try {
    const { linksIn, realDataDir } = await import('@understudy/engine/host');
    const real = await realDataDir(dataDir);
    await access(dataDir, constants.R_OK);
    await requireBeside(real);
    const links = await linksIn(real, config.engine.kind === 'postgres' ? ['pg_wal'] : []);
    if (links.length > 0) {
      const text = `${links.join(', ')} in ${real} are links to other places: a clone would be refused, as it would put their content on this disk.`;
      throw new CliError('FILE_UNREADABLE', text, { next: `Move it back into ${real}.` });
    }
    return real === dataDir ? `${dataDir} is there` : `${dataDir} is there, and leads to ${real}`;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  const nearest = await nearestFolder(dataDir);
  await access(nearest, constants.W_OK).catch((error: unknown) => {
    const folder = dirname(dataDir);
    const text = `${dataDir} cannot be made: ${nearest} does not let this user write (${codeOf(error)}).`;
    const owner = process.getuid?.() ?? 0;
    const next = `Make its folder for the agent's user, and leave ${nearest} unchanged: install -d -o ${owner} -m 0700 ${folder}`;
    throw new CliError('FILE_UNREADABLE', text, { next, cause: error });
  });
  return `${dataDir} will be made`;
}

/** Copies are made beside the data directory, on its own disk. */
async function requireBeside(real: string): Promise<void> {
  await access(dirname(real), constants.W_OK).catch((error: unknown) => {
    const text = `Nothing can be made beside ${real}, where new copies of it are made (${codeOf(error)}).`;
    throw new CliError('FILE_UNREADABLE', text, {
      next: `Let the agent's user write in ${dirname(real)}.`,
      cause: error,
    });
  });
}

async function nearestFolder(path: string): Promise<string> {
  const parent = dirname(path);
  const isThere = await access(parent).then(
    () => true,
    () => false,
  );
  return isThere || parent === path ? parent : nearestFolder(parent);
}

async function storeText(config: NodeConfig): Promise<string> {
  const { openStore } = await import('@understudy/store');
  const { store: settings, cluster } = config;
  if (settings.kind === 'local') {
    await access(dirname(settings.path), constants.W_OK);
    return `local file ${settings.path}`;
  }
  const { endpoints, tls, username, passwordFile } = settings;
  const store = await openStore({
    kind: 'etcd',
    endpoints,
    cluster,
    ...(tls === undefined ? {} : { tls }),
    ...(username === undefined ? {} : { username }),
    ...(passwordFile === undefined ? {} : { passwordFile }),
  });
  try {
    const { entries } = await store.read({ deadlineMs: 3000 });
    return `${store.describe()} answers; ${entries.size === 0 ? 'the cluster is new' : 'the cluster is known there'}`;
  } finally {
    await store.close();
  }
}
