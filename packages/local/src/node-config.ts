import type { NodeConfigInput } from '@understudy/agent/client';
import { stringify } from 'yaml';
import type { NodeCertificates } from './certificates.ts';
import { LocalError } from './errors.ts';
import { putFile } from './files.ts';
import type { ClusterPaths, NodePaths } from './folder.ts';
import type { LocalEngine } from './server.ts';

export interface NodeSettings {
  readonly cluster: string;
  readonly member: string;
  /** Where its HTTP API and its server listen. */
  readonly host: string;
  readonly apiPort: number;
  readonly dbPort: number;
  readonly store: NodeConfigInput['store'];
  readonly engine: LocalEngine;
  readonly binDir: string;
  /** `server_id` of a MySQL or MariaDB node; PostgreSQL has none. */
  readonly serverId: number | null;
  readonly version: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly zone: string | null;
  /** Null: not encrypted. */
  readonly databaseTls: NodeCertificates | null;
  readonly apiTls: NodeCertificates | null;
  readonly logLevel: 'debug' | 'info';
}

/** The configuration of one node as `understudy agent --config` reads it. */
export function nodeConfig(settings: NodeSettings, cluster: ClusterPaths, node: NodePaths): NodeConfigInput {
  const { host } = settings;
  const isPlain = settings.databaseTls === null || settings.apiTls === null;
  return {
    cluster: settings.cluster,
    member: settings.member,
    store: settings.store,
    api: {
      listen: `${host}:${settings.apiPort}`,
      tokenFile: cluster.token,
      ...(settings.apiTls === null ? {} : { tls: { ...settings.apiTls } }),
    },
    engine: engineSettings(settings, node),
    // Hosts that exist on this machine only (network namespaces of a drill) have addresses of their own.
    ...(host !== '127.0.0.1' && isPlain ? { insecure: true } : {}),
    secretsFile: cluster.secrets,
    runDir: node.runDir,
    ...(settings.zone === null ? {} : { tags: { zone: settings.zone } }),
    // The guard's next agent writes there too; what comes before its log is open, and crashes, go to the same file by its output.
    logs: { level: settings.logLevel, file: node.log },
  };
}

function engineSettings(settings: NodeSettings, node: NodePaths): NodeConfigInput['engine'] {
  const { engine, serverId } = settings;
  const common = {
    version: settings.version,
    binDir: settings.binDir,
    dataDir: node.dataDir,
    listen: `${settings.host}:${settings.dbPort}`,
    parameters: { ...settings.parameters },
    ...(settings.databaseTls === null ? {} : { tls: { ...settings.databaseTls } }),
  };
  if (engine === 'postgres') return { kind: engine, ...common };
  if (serverId !== null) return { kind: engine, serverId, ...common };
  throw new LocalError('STATE_INVALID', `The state file has no server_id for ${settings.member}.`);
}

/** Writes a node's file. It is made anew at every start: addresses and programs may have changed. */
export async function writeNodeConfig(config: NodeConfigInput, node: NodePaths): Promise<void> {
  const head = '# Made by `understudy up` at every start; changes here are lost.\n';
  await putFile(node.config, `${head}${stringify(config)}`);
}
