import type { PinReason } from '../statement/classification.ts';
import type { PgFunctionRow } from './catalog.ts';
import { builtinRule } from './functions.ts';

/**
 * What calls of a database's own functions may leave behind in a session, found in their bodies and transitively in what those call.
 * It looks at words, not at the grammar, and errs towards a pin: that costs a connection for a while, a leak costs the truth.
 */
export function pinsByFunction(rows: readonly PgFunctionRow[]): ReadonlyMap<string, ReadonlySet<PinReason>> {
  const own = rows.filter(({ source, schema }) => source !== null && schema !== 'pg_catalog');
  const pins = new Map<string, Set<PinReason>>();
  const calls = new Map<string, Set<string>>();
  for (const row of own) {
    const found = pins.get(row.name) ?? new Set<PinReason>();
    for (const pin of pinsOfBody(row)) found.add(pin);
    pins.set(row.name, found);
    calls.set(row.name, new Set([...(calls.get(row.name) ?? []), ...wordsOf(row.source ?? '')]));
  }
  spread(pins, calls);
  return pins;
}

/** Until nothing changes: a function leaves behind what those do that its body names. */
function spread(pins: Map<string, Set<PinReason>>, calls: ReadonlyMap<string, ReadonlySet<string>>): void {
  for (let isChanged = true; isChanged; ) {
    isChanged = false;
    for (const [name, words] of calls) {
      const own = pins.get(name);
      for (const word of words) {
        for (const pin of own === undefined ? [] : (pins.get(word) ?? [])) {
          if (own?.has(pin) === false) {
            own.add(pin);
            isChanged = true;
          }
        }
      }
    }
  }
}

/**
 * Names of own functions whose mark as stable or immutable is not to be believed: their body, or what that calls, calls a volatile function
 * or one that belongs to the primary. PostgreSQL does not look; a replica would refuse some of it, and grant an advisory lock silently.
 */
export function volatileByBody(rows: readonly PgFunctionRow[]): ReadonlySet<string> {
  const own = rows.filter(({ source, schema }) => source !== null && schema !== 'pg_catalog');
  const found = new Set(own.filter(({ volatility }) => volatility === 'v').map(({ name }) => name));
  const calls = own
    .filter(({ language }) => language === 'sql' || language === 'plpgsql')
    .map(({ name, source }) => ({ name, called: calledIn(source ?? '') }));
  for (let isChanged = true; isChanged; ) {
    isChanged = false;
    for (const { name, called } of calls) {
      if (found.has(name) || ![...called].some((each) => found.has(each) || isPrimaryOnly(each))) continue;
      found.add(name);
      isChanged = true;
    }
  }
  return found;
}

const isPrimaryOnly = (name: string): boolean => name !== 'current_setting' && builtinRule(name)?.kind === 'primary';

/** Words that a parenthesis follows. */
const calledIn = (code: string): ReadonlySet<string> =>
  new Set([...code.matchAll(/([\p{L}_][\p{L}\p{N}_$]*)"?\s*\(/gu)].map(([, name = '']) => name.toLowerCase()));

/** Functions of extensions in C that keep no state of the session, though they are declared volatile. */
const HARMLESS_IN_C = new Set([
  'uuid_generate_v1',
  'uuid_generate_v1mc',
  'uuid_generate_v4',
  'gen_random_bytes',
  'gen_random_uuid',
  'gen_salt',
  'pg_stat_statements',
  'pg_stat_statements_info',
  'pg_stat_statements_reset',
]);

function pinsOfBody({ name, language, source, volatility }: PgFunctionRow): readonly PinReason[] {
  if (language === 'internal') return [];
  if (language === 'c') return volatility === 'v' && !HARMLESS_IN_C.has(name) ? ['function-state'] : [];
  if (language !== 'sql' && language !== 'plpgsql') return volatility === 'v' ? ['function-state'] : [];
  return pinsOfCode(source ?? '');
}

const CODE_PINS: readonly (readonly [RegExp, PinReason])[] = [
  [/\b(?:set_config|dblink_connect\w*|set_limit)\b/i, 'function-state'],
  [/(?:^|[;]|\b(?:begin|then|else|loop))\s*set\s+(?!local\b|constraints\b|transaction\b)/i, 'function-state'],
  [/\breset\b|\bdiscard\b/i, 'function-state'],
  // Built at run time: what it will be cannot be told.
  [/\bexecute\b/i, 'function-state'],
  [/\bprepare\b|\bdeallocate\b/i, 'prepared-by-name'],
  [/\b(?:un)?listen\b/i, 'listen'],
  [/\btemp(?:orary)?\b|\bpg_temp\b/i, 'temporary-table'],
  [/\bpg_(?:try_)?advisory_lock(?:_shared)?\b/i, 'session-advisory-lock'],
  [/\bsetseed\b/i, 'seed'],
  [/\bwith\s+hold\b/i, 'cursor-with-hold'],
  [/(?:^|;)\s*load\b/i, 'library'],
];

/** What code in SQL or PL/pgSQL (a body, a `DO` block) may leave behind. */
export function pinsOfCode(code: string): readonly PinReason[] {
  const bare = code.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, ' ');
  const found = CODE_PINS.filter(([pattern]) => pattern.test(bare)).map(([, pin]) => pin);
  return [...new Set(found)];
}

/** Every word of a code: a call may be quoted, qualified, or hidden in an operator's place. */
export const wordsOf = (code: string): ReadonlySet<string> =>
  new Set((code.match(/[\p{L}_][\p{L}\p{N}_$]*/gu) ?? []).flatMap((word) => [word, word.toLowerCase()]));
