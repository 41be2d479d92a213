import { z } from 'zod';
import type { Settings } from './settings.ts';

const parametersSchema = z.record(z.string(), z.string());

/** Server variables that somebody other than Understudy wants, by name. */
export type Parameters = Readonly<Record<string, string>>;

/** The groups of a configuration file that a server of either product reads. */
const serverGroup = /^(mysqld|server|mariadb|mariadbd|galera)(-[\d.]+)?$/i;

export interface FileSetting {
  readonly name: string;
  /** Null for a name alone. */
  readonly value: string | null;
  readonly line: number;
}

/** The settings of a user's file that its server would read: includes are followed by the server, not by us. */
export function serverSettings(text: string): readonly FileSetting[] {
  const found: FileSetting[] = [];
  let group = '';
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    const head = /^\[([^\]]*)\]/.exec(line);
    if (head !== null) group = head[1]?.trim() ?? '';
    else if (line !== '' && !/^[#;!]/.test(line) && serverGroup.test(group)) {
      const [name = '', ...value] = line.split('=');
      found.push({ name: name.trim(), value: value.length === 0 ? null : value.join('=').trim(), line: index + 1 });
    }
  }
  return found;
}

/** Quotes a value for a configuration file: `#` would begin a comment, and a backslash is an escape. */
export function quoteValue(value: string): string {
  const escaped = value.replaceAll('\\', '\\\\');
  if (/^[\w./:,@+-]+$/.test(value)) return value;
  return value.includes('"') ? `'${escaped}'` : `"${escaped}"`;
}

/**
 * The whole of the generated configuration file.
 *
 * @param userConfig path of the user's own file, which is read first; null for none.
 * @param parameters those among the settings that can change while the server runs: noted for `parametersOf`.
 */
export function renderConfig(userConfig: string | null, settings: Settings, parameters: Parameters = {}): string {
  const lines = settings.map(([name, value]) => (value === null ? name : `${name} = ${quoteValue(value)}`));
  const include = userConfig === null ? [] : [`!include ${userConfig}`];
  const head = ['# Written by Understudy at every start.', parametersMark + JSON.stringify(parameters)];
  return [...head, ...include, '[mysqld]', ...lines, ''].join('\n');
}

const parametersMark = '# parameters ';

/** The parameters that a generated file was made with, for an agent that takes a running server over; none when it does not say. */
export function parametersOf(text: string): Parameters {
  const line = text.split('\n').find((one) => one.startsWith(parametersMark));
  try {
    const parsed = parametersSchema.safeParse(JSON.parse(line?.slice(parametersMark.length) ?? ''));
    return parsed.success ? parsed.data : {};
  } catch {
    return {};
  }
}

/**
 * The configuration file of a client program: its password must not be among its arguments, which everybody can read.
 *
 * @param tls files of the authority that must have signed the server's certificate and of our own certificate and key, and whether that must name the server; null: not
 *   encrypted. Without the name MariaDB's programs go on with a server that offers no TLS: they have no option that demands it alone.
 */
export function renderClientConfig(
  settings: Readonly<Record<string, string>>,
  tls: {
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
    readonly verify: 'ca' | 'full';
  } | null,
  group: 'client' | 'mariadb-backup' = 'client',
): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quoteValue(value)}`);
  const encryption =
    tls === null
      ? ['skip-ssl']
      : [
          ...(['ca', 'cert', 'key'] as const).map((name) => `ssl-${name} = ${quoteValue(tls[name])}`),
          `ssl-verify-server-cert = ${tls.verify === 'full' ? 1 : 0}`,
        ];
  return [`[${group}]`, ...lines, ...encryption, ''].join('\n');
}

const units: Readonly<Record<string, bigint>> = { '': 1n, k: 1n << 10n, m: 1n << 20n, g: 1n << 30n, t: 1n << 40n };

/** A value of the configuration file as SQL takes it: numbers have no units there, and words no quotes. */
export function sqlValue(value: string): string {
  const number = /^(\d+)([kmgt]?)$/i.exec(value.trim());
  if (number !== null) return String(BigInt(number[1] ?? '0') * (units[(number[2] ?? '').toLowerCase()] ?? 1n));
  if (/^-?\d+(\.\d+)?$/.test(value.trim())) return value.trim();
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
