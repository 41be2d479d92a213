import { parseClusterConfig } from '@understudy/agent/client';
import { isMap, LineCounter, parseDocument, stringify } from 'yaml';
import { CliError } from '../errors.ts';

export type Settings = Readonly<Record<string, unknown>>;

/** The configuration as people read and edit it. */
export function toYaml(settings: Settings): string {
  return stringify(settings);
}

/**
 * Reads and checks the text of a whole cluster configuration.
 *
 * @param source what to call it in messages
 * @returns the settings with their defaults
 * @throws CliError `USAGE` with line, setting and fix of everything that is wrong
 */
export function readSettings(text: string, source: string): Settings {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const broken = document.errors[0];
  if (broken !== undefined) {
    const where = `${source}:${lines.linePos(broken.pos[0]).line}`;
    throw new CliError('USAGE', `${where}: is not YAML: ${broken.message}.`, { next: 'Correct this line.' });
  }
  if (!isMap(document.contents)) {
    throw new CliError('USAGE', `${source}: is not a list of settings.`, { next: 'Write "name: value", one a line.' });
  }
  const lineOf = (key: string): number | null => {
    const [first = '', second] = key.split(/\.(.*)/s);
    const node: unknown = second === undefined ? null : document.getIn([first], true);
    const items = isMap(node) ? node.items : isMap(document.contents) ? document.contents.items : [];
    const wanted = isMap(node) ? second : first;
    const found = items.find(({ key: each }) => String(each) === wanted)?.key;
    const range = typeof found === 'object' && found !== null && 'range' in found ? found.range : null;
    return Array.isArray(range) && typeof range[0] === 'number' ? lines.linePos(range[0]).line : null;
  };
  return checkSettings(document.toJS({ maxAliasCount: 10 }), source, lineOf);
}

/** Checks settings of whatever origin. @throws CliError `USAGE` */
export function checkSettings(input: unknown, source: string, lineOf: (key: string) => number | null): Settings {
  try {
    return { ...parseClusterConfig(input, source) };
  } catch (error) {
    const problems = problemsIn(error);
    if (problems === null) throw error;
    const texts = problems.map(({ key, message, value, fix }) => {
      const line = lineOf(key);
      const found = value === null ? '' : ` (found ${value})`;
      return `${source}${line === null ? '' : `:${line}`}: ${key}: ${message}${found}. ${fix}`;
    });
    throw new CliError('USAGE', texts.join('\n'), {
      next: 'Nothing was changed. docs/config.md lists every setting.',
      cause: error,
    });
  }
}

interface Problem {
  readonly key: string;
  readonly message: string;
  readonly value: string | null;
  readonly fix: string;
}

function problemsIn(error: unknown): readonly Problem[] | null {
  if (!(error instanceof Error) || !('problems' in error) || !Array.isArray(error.problems)) return null;
  return error.problems;
}

/** The change that leads from one configuration to another: settings that are gone are named with null. */
export function patchBetween(before: Settings, after: Settings): Settings {
  const patch: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [from, to] = [before[key], after[key]];
    if (JSON.stringify(from) === JSON.stringify(to)) continue;
    patch[key] = isSettings(from) && isSettings(to) ? patchBetween(from, to) : (to ?? null);
  }
  return patch;
}

function isSettings(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
