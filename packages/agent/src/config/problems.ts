/** Turns what zod found wrong into problems that people can act on: where, what, and how to put it right. */

import { nearest } from '@understudy/engine/host';
import type { z } from 'zod';
import { AgentError } from '../errors.ts';

/** One wrong setting. */
export interface ConfigProblem {
  /** Dotted path of the setting, e.g. `engine.dataDir`; `(whole file)` when it is not about one. */
  readonly key: string;
  /** Line of the file, counted from 1; null when the setting is missing or there is no file. */
  readonly line: number | null;
  /** What was found, shortened; null when nothing was, or when it may be secret. */
  readonly value: string | null;
  /** What is wrong. */
  readonly message: string;
  /** What to do. */
  readonly fix: string;
}

/** A configuration with wrong settings. `problems` has each; `message` has them all as text. */
export class ConfigError extends AgentError {
  override readonly name: string = 'ConfigError';
  readonly file: string;
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    super('CONFIG_INVALID', problems.map((problem) => formatProblem(file, problem)).join('\n'));
    this.file = file;
    this.problems = problems;
  }
}

export function formatProblem(file: string, problem: ConfigProblem): string {
  const where = problem.line === null ? file : `${file}:${problem.line}`;
  const found = problem.value === null ? '' : ` (found ${problem.value})`;
  return `${where}: ${problem.key}: ${problem.message}${found}. ${problem.fix}`;
}

/** Finds the line of a setting; `key` is the last part of a path that names an unknown key. */
export type Locate = (path: readonly PropertyKey[]) => number | null;

const SECRET_KEY = /password|token|secret|passphrase/i;
const MAX_VALUE_CHARS = 60;

/**
 * Explains the issues of a failed parse.
 *
 * @param schema the schema that was used, for the names of the keys it knows
 * @param input what was parsed, to show the value found
 * @param locate finds the line of a path
 */
export function explainIssues(
  schema: z.ZodType,
  error: z.ZodError,
  input: unknown,
  locate: Locate,
): readonly ConfigProblem[] {
  return error.issues.flatMap((issue) => explainIssue(schema, issue, input, locate)).slice(0, 50);
}

function explainIssue(schema: z.ZodType, issue: z.core.$ZodIssue, input: unknown, locate: Locate): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, issue.path, input);
    return issue.keys.map((key) => unknownKey([...issue.path, key], key, known, locate));
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0 && issue.discriminator === undefined) {
    const closest = [...issue.errors].sort((a, b) => a.length - b.length)[0] ?? [];
    if (closest.length > 0) {
      return closest.flatMap((inner) =>
        explainIssue(schema, { ...inner, path: [...issue.path, ...inner.path] }, input, locate),
      );
    }
  }
  const found = valueAt(input, issue.path);
  const key = issue.path.map(String).join('.') || '(whole file)';
  const missing = found === undefined;
  return [
    {
      key,
      line: locate(issue.path),
      value: missing || SECRET_KEY.test(key) ? null : shorten(found),
      message: missing ? 'is missing' : issue.message,
      fix: missing ? `Add "${key}": ${expected(issue)}.` : fixFor(issue, key, found),
    },
  ];
}

function unknownKey(
  path: readonly PropertyKey[],
  key: string,
  known: readonly string[],
  locate: Locate,
): ConfigProblem {
  const meant = nearest(key, known);
  return {
    key: path.map(String).join('.'),
    line: locate(path),
    value: null,
    message: 'is not a setting',
    fix: meant !== null ? `Did you mean "${meant}"?` : `Remove it; known here: ${known.join(', ') || 'none'}.`,
  };
}

function expected(issue: z.core.$ZodIssue): string {
  return issue.code === 'invalid_type' ? `a ${issue.expected}` : issue.message;
}

/** An empty value is mostly meant to take a setting back. */
const TO_DEFAULT = ' To take a setting back with `config set`, write NAME=default.';

function fixFor(issue: z.core.$ZodIssue, key: string, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return `Write a ${issue.expected} there.${value === null || value === '' ? TO_DEFAULT : ''}`;
    case 'invalid_value':
      return `Use one of ${issue.values.map(String).join(', ')}.`;
    case 'invalid_union':
      return `Use one of the documented forms of "${key}".${value === null || value === '' ? TO_DEFAULT : ''}`;
    case 'too_small':
      return `Use ${issue.minimum} or more.`;
    case 'too_big':
      return `Use ${issue.maximum} or less.`;
    default:
      return 'Correct this setting.';
  }
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = input;
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}

function shorten(value: unknown): string {
  const text =
    typeof value === 'object' && value !== null ? (Array.isArray(value) ? 'a list' : 'a map') : JSON.stringify(value);
  return text.length <= MAX_VALUE_CHARS ? text : `${text.slice(0, MAX_VALUE_CHARS)}…`;
}

/** The keys that `schema` knows at `path`, looking through optional, default, pipe and discriminated wrappers. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[], input: unknown): readonly string[] {
  let current: unknown = schema;
  let value: unknown = input;
  for (const part of path) {
    const shape = shapeOf(current, value);
    current = shape === null ? null : Reflect.get(shape, part);
    value = valueAt(value, [part]);
  }
  const shape = shapeOf(current, value);
  return shape === null ? [] : Object.keys(shape);
}

function shapeOf(schema: unknown, value: unknown): object | null {
  if (typeof schema !== 'object' || schema === null || !('def' in schema)) return null;
  const def = schema.def;
  if (typeof def !== 'object' || def === null) return null;
  if ('shape' in def && typeof def.shape === 'object' && def.shape !== null) return def.shape;
  if ('innerType' in def) return shapeOf(def.innerType, value);
  if ('in' in def) return shapeOf(def.in, value);
  if ('options' in def && Array.isArray(def.options)) return optionShape(def.options, def, value);
  return null;
}

function optionShape(options: readonly unknown[], def: object, value: unknown): object | null {
  const discriminator = 'discriminator' in def && typeof def.discriminator === 'string' ? def.discriminator : null;
  const shapes = options.map((option) => shapeOf(option, value)).filter((shape) => shape !== null);
  if (discriminator === null) return shapes[0] ?? null;
  const chosen = valueAt(value, [discriminator]);
  return shapes.find((shape) => literalOf(Reflect.get(shape, discriminator)) === chosen) ?? null;
}

function literalOf(schema: unknown): unknown {
  const values: unknown = valueAt(schema, ['def', 'values']);
  return Array.isArray(values) ? values[0] : undefined;
}
