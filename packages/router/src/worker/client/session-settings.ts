/** Settings of a session that have to be the same on every server connection that it gets. */

import type { Classification, SessionEffect } from '@understudy/routing';

/** Values by name, in lower case. */
export type Settings = ReadonlyMap<string, readonly string[]>;

/** Whether it sets something to a default of the server. */
export const isReset = (effect: SessionEffect): boolean =>
  effect.kind === 'reset' ||
  effect.kind === 'reset-all' ||
  (effect.kind === 'discard' && effect.what === 'all') ||
  (effect.kind === 'set' && effect.values === null && !effect.isLocal);

const NAME = /^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*$/;

/** Encodings in which a quote or a backslash may be the second byte of a character. */
const UNSAFE_ENCODINGS = new Set(['SJIS', 'BIG5', 'GBK', 'UHC', 'GB18030', 'JOHAB', 'SHIFT_JIS_2004']);
export const isSafeEncoding = (name: string): boolean => !UNSAFE_ENCODINGS.has(name);

/** Under another role some of the other settings could not be set any more. */
const rank = (name: string): number => (name === 'role' ? 2 : name === 'session_authorization' ? 1 : 0);

/** What a session has set. Changes inside a transaction count once it has committed. */
export class SessionSettings {
  readonly #atStart: Settings;
  #now: Map<string, readonly string[]>;
  #pending: Map<string, readonly string[]> | null = null;
  #text: string | null = null;

  constructor(atStart: Settings) {
    this.#atStart = atStart;
    this.#now = new Map(atStart);
  }

  /** Takes note of what a statement sets if it succeeds. @returns false when it cannot be followed: the session has to keep its connection */
  note({ effects, transaction }: Classification): boolean {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'set':
          if (effect.isLocal) break;
          if (!NAME.test(effect.name.toLowerCase())) return false;
          this.#put(effect.name.toLowerCase(), effect.values);
          break;
        case 'reset':
          this.#put(effect.name.toLowerCase(), null);
          break;
        case 'reset-all':
          this.#draft().clear();
          for (const [name, values] of this.#atStart) this.#draft().set(name, values);
          break;
        case 'discard':
          if (effect.what === 'all') this.#pending = new Map(this.#atStart);
          break;
        case 'transaction-mode':
          if (effect.scope === 'session') return false;
          break;
        default:
      }
    }
    // What a savepoint takes back is not followed.
    return !(transaction?.kind === 'rollback-to' && this.#pending !== null);
  }

  get hasPending(): boolean {
    return this.#pending !== null;
  }

  /** The transaction has ended, or the statement outside of one. */
  settle(outcome: 'kept' | 'undone'): void {
    if (this.#pending !== null && outcome === 'kept') {
      this.#now = this.#pending;
      this.#text = null;
    }
    this.#pending = null;
  }

  /** All of it, as SQL; empty when everything is as the server has it by itself. Equal text, equal settings. */
  get text(): string {
    this.#text ??= [...this.#now]
      .sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1))
      .map(([name, values]) => `SET ${name} TO ${values.map(literal).join(', ')}`)
      .join('; ');
    return this.#text;
  }

  #put(name: string, values: readonly string[] | null): void {
    const wanted = values ?? this.#atStart.get(name);
    if (wanted === undefined) this.#draft().delete(name);
    else this.#draft().set(name, wanted);
  }

  #draft(): Map<string, readonly string[]> {
    this.#pending ??= new Map(this.#now);
    return this.#pending;
  }
}

/** Backslashes mean nothing in it, whatever `standard_conforming_strings` says. */
export function literal(text: string): string {
  const doubled = text.replaceAll("'", "''");
  return doubled.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}

/** Startup settings of PostgreSQL that are no settings of the session. */
const NOT_SETTINGS = new Set(['user', 'database', 'replication', 'options']);

/** @throws RangeError with a text for the client when one cannot be followed */
export function startupSettings(parameters: ReadonlyMap<string, string>): Map<string, readonly string[]> {
  const settings = new Map<string, readonly string[]>();
  for (const [name, value] of [...commandLine(parameters.get('options') ?? ''), ...parameters]) {
    const key = name.toLowerCase();
    if (NOT_SETTINGS.has(key) || key.startsWith('_pq_.')) continue;
    if (!NAME.test(key)) throw new RangeError(`unrecognized configuration parameter "${name}"`);
    settings.set(key, listOf(key, value));
  }
  return settings;
}

/** Values that are lists of names; all others are one value, commas or not. */
const LISTS = new Set(['search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries']);

function listOf(name: string, value: string): readonly string[] {
  if (!LISTS.has(name)) return [value];
  const parts = [...value.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*(?:,|$)/g)]
    .map((each) => each[1]?.replaceAll('""', '"') ?? each[2]?.trim().toLowerCase() ?? '')
    .filter((each) => each !== '');
  return parts.length > 0 ? parts : [''];
}

/** `-c name=value` and `--name=value`, with backslashes before spaces, as PostgreSQL reads `options`. */
function commandLine(text: string): (readonly [string, string])[] {
  const words = (text.match(/(?:\\.|[^\s\\])+/g) ?? []).map((word) => word.replace(/\\(.)/g, '$1'));
  const found: (readonly [string, string])[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const setting =
      word === '-c' ? (words[++at] ?? '') : word.startsWith('-c') || word.startsWith('--') ? word.slice(2) : '';
    const equals = setting.indexOf('=');
    if (equals < 1) throw new RangeError(`invalid command-line argument for server process: ${word}`);
    found.push([setting.slice(0, equals).replaceAll('-', '_'), setting.slice(equals + 1)]);
  }
  return found;
}
