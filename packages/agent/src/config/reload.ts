/** What of a node's file can change while its agent runs. Pure. */

import type { NodeConfig } from './node-config.ts';

export interface Reload {
  /** The running configuration with what can be taken over at once. */
  readonly config: NodeConfig;
  /** Dotted names of the settings that changed, and are in force now. */
  readonly applied: readonly string[];
  /** Dotted names of the settings that differ from those in force, until the agent is started again. */
  readonly needsRestart: readonly string[];
}

/** Settings that are looked up at every use; all others are built into connections, files and processes. */
const AT_ONCE = ['tags', 'logs.level', 'api.loopback', 'api.certificates', 'api.hosts'];

const isAtOnce = (key: string): boolean => AT_ONCE.some((name) => key === name || key.startsWith(`${name}.`));

/** What a file that was read again changes, compared with the configuration in force. */
export function reloadOf(running: NodeConfig, file: NodeConfig): Reload {
  const changed = differences(running, file, '');
  return {
    config: {
      ...running,
      tags: file.tags,
      logs: { ...running.logs, level: file.logs.level },
      api: {
        ...running.api,
        loopback: file.api.loopback,
        certificates: file.api.certificates,
        hosts: file.api.hosts,
      },
    },
    applied: changed.filter(isAtOnce),
    needsRestart: changed.filter((key) => !isAtOnce(key)),
  };
}

/** Dotted names of what differs, of maps each entry, of lists the whole. */
function differences(a: unknown, b: unknown, name: string): readonly string[] {
  if (!isMap(a) || !isMap(b)) return JSON.stringify(a) === JSON.stringify(b) ? [] : [name];
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return keys.flatMap((key) => differences(a[key], b[key], name === '' ? key : `${name}.${key}`));
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
