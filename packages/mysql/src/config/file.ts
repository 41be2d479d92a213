import type { Settings } from './settings.ts';

/** The groups of a configuration file that a server of either product reads. */
const serverGroup = /^(mysqld|server|mariadb|mariadbd|galera)(-[\d.]+)?$/i;

export interface FileSetting {
  readonly name: string;
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
      found.push({ name: (line.split('=')[0] ?? '').trim(), line: index + 1 });
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
 */
export function renderConfig(userConfig: string | null, settings: Settings): string {
  const lines = settings.map(([name, value]) => `${name} = ${quoteValue(value)}`);
  const include = userConfig === null ? [] : [`!include ${userConfig}`];
  return ['# Written by Understudy at every start.', ...include, '[mysqld]', ...lines, ''].join('\n');
}
