import { codeOf } from '@understudy/base';
/** Reads a node's YAML file and says exactly what is wrong with it. */

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Document, isMap, isNode, LineCounter, parseDocument } from 'yaml';
import { AgentError } from '../errors.ts';
import { formatAddress } from './address.ts';
import { type NodeConfig, nodeConfigSchema } from './node-config.ts';
import { plainLinks } from './plain.ts';
import { ConfigError, type ConfigProblem, explainIssues, type Locate } from './problems.ts';

const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Reads and checks a node's configuration file.
 * @throws AgentError `CONFIG_UNREADABLE`; ConfigError with file, line, key, value and fix of each wrong setting
 */
export async function loadNodeConfig(file: string): Promise<NodeConfig> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const code = codeOf(cause) ?? 'unknown error';
    throw new AgentError('CONFIG_UNREADABLE', `${file}: cannot be read (${code}).`, {
      next: 'Correct the path or its permissions.',
      cause,
    });
  }
  return parseNodeConfig(text, resolve(file));
}

/**
 * Checks the text of a configuration file.
 * @param file its absolute path: for messages, and as the base of relative paths
 * @throws ConfigError
 */
export function parseNodeConfig(text: string, file: string): NodeConfig {
  if (text.length > MAX_FILE_BYTES) {
    throw new ConfigError(file, [whole('is larger than 1 MiB', 'This is not a configuration file of a node.')]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const broken = document.errors[0];
  if (broken !== undefined) {
    const line = lines.linePos(broken.pos[0]).line;
    throw new ConfigError(file, [{ ...whole(`is not YAML: ${broken.message}`, 'Correct this line.'), line }]);
  }
  const input: unknown = document.toJS({ maxAliasCount: 10 });
  const locate = locator(document, lines);
  const parsed = nodeConfigSchema.safeParse(input);
  if (!parsed.success) throw new ConfigError(file, explainIssues(nodeConfigSchema, parsed.error, input, locate));
  const problems = crossProblems(parsed.data, locate);
  if (problems.length > 0) throw new ConfigError(file, problems);
  return withAbsolutePaths(parsed.data, dirname(file));
}

const whole = (message: string, fix: string): ConfigProblem => ({
  key: '(whole file)',
  line: null,
  value: null,
  message,
  fix,
});

/** Finds lines: of the value at a path or, for a key that holds nothing yet, of the nearest map around it. */
function locator(document: Document, lines: LineCounter): Locate {
  const lineOf = (offset: number | undefined) => (offset === undefined ? null : lines.linePos(offset).line);
  return (path) => {
    const parent: unknown = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isNode(item.key) && String(item.key) === String(path.at(-1)));
      if (pair !== undefined && isNode(pair.key)) return lineOf(pair.key.range?.[0]);
    }
    const node: unknown = document.getIn(path, true);
    if (isNode(node)) return lineOf(node.range?.[0]);
    return isNode(parent) ? lineOf(parent.range?.[0]) : null;
  };
}

/** What the schema cannot say about one setting alone. */
function crossProblems(config: NodeConfig, locate: Locate): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const add = (path: readonly string[], message: string, fix: string) =>
    problems.push({ key: path.join('.'), line: locate(path), value: null, message, fix });
  const { api, engine, store } = config;
  if (api.listen.port === engine.listen.port && api.listen.host === engine.listen.host) {
    add(
      ['api', 'listen'],
      `is the same address as engine.listen (${formatAddress(engine.listen)})`,
      'Give each its own port.',
    );
  }
  if (isWildcard(api.listen.host) && api.advertise === undefined) {
    add(['api', 'listen'], 'listens on every address, so nobody knows under which to reach it', 'Set api.advertise.');
  }
  if (isWildcard(engine.listen.host) && engine.advertise === undefined) {
    add(
      ['engine', 'listen'],
      'listens on every address, so nobody knows under which to reach it',
      'Set engine.advertise.',
    );
  }
  if (api.advertise !== undefined && api.advertise.startsWith('https:') !== (api.tls !== undefined)) {
    add(
      ['api', 'advertise'],
      `says ${api.advertise.split(':')[0]}, but api.tls is ${api.tls === undefined ? 'not set' : 'set'}`,
      'Make both agree.',
    );
  }
  if (store.kind === 'etcd' && (store.username === undefined) !== (store.passwordFile === undefined)) {
    add(['store'], 'username and passwordFile go together', 'Set both or none.');
  }
  if (!config.insecure) {
    for (const { key, text } of plainLinks(config)) {
      const how = key === 'store.endpoints' ? 'Use https:// and store.tls' : `Set ${key}`;
      add(key.split('.'), text, `${how}, or accept it with a line "insecure: true" in this file.`);
    }
  }
  return problems;
}

const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::';

function withAbsolutePaths(config: NodeConfig, folder: string): NodeConfig {
  const at = (path: string) => resolve(folder, path);
  const { api, engine, store, logs } = config;
  return {
    ...config,
    secretsFile: at(config.secretsFile),
    runDir: at(config.runDir),
    ...(config.stateDir === undefined ? {} : { stateDir: at(config.stateDir) }),
    store: absoluteStore(store, at),
    api: {
      ...api,
      ...(api.tls === undefined
        ? {}
        : { tls: { ...api.tls, ca: at(api.tls.ca), cert: at(api.tls.cert), key: at(api.tls.key) } }),
      ...(api.tokenFile === undefined ? {} : { tokenFile: at(api.tokenFile) }),
    },
    engine: {
      ...engine,
      dataDir: at(engine.dataDir),
      ...(engine.binDir === undefined ? {} : { binDir: at(engine.binDir) }),
      ...('userConfig' in engine && engine.userConfig !== undefined ? { userConfig: at(engine.userConfig) } : {}),
      ...(engine.tls === undefined
        ? {}
        : { tls: { ...engine.tls, ca: at(engine.tls.ca), cert: at(engine.tls.cert), key: at(engine.tls.key) } }),
    },
    logs: { ...logs, ...(logs.file === undefined ? {} : { file: at(logs.file) }) },
  };
}

function absoluteStore(store: NodeConfig['store'], at: (path: string) => string): NodeConfig['store'] {
  if (store.kind === 'local') return { ...store, path: at(store.path) };
  const { tls, passwordFile } = store;
  return {
    ...store,
    ...(passwordFile === undefined ? {} : { passwordFile: at(passwordFile) }),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            caFile: at(tls.caFile),
            ...(tls.certFile === undefined ? {} : { certFile: at(tls.certFile) }),
            ...(tls.keyFile === undefined ? {} : { keyFile: at(tls.keyFile) }),
          },
        }),
  };
}

/** Base URL under which others reach this agent. */
export function advertisedUrl(config: NodeConfig): string {
  const scheme = config.api.tls === undefined ? 'http' : 'https';
  return (config.api.advertise ?? `${scheme}://${formatAddress(config.api.listen)}`).replace(/\/$/, '');
}
