import { memberId } from '@understudy/core';
import { RoutingError } from '../errors.ts';
import { parseLevel } from './level.ts';
import type { RouteSettings, RouteTarget, StalePolicy } from './settings.ts';

export type SettingRead =
  | { readonly kind: 'read'; readonly settings: RouteSettings }
  | { readonly kind: 'rejected'; readonly error: RoutingError };

/** Every setting's name, what it takes and what it means. The names are those after `understudy.` */
export const ROUTE_SETTINGS = {
  route: 'auto, primary, replica, or node:NAME',
  level: 'strong, bounded(MS), session, causal, eventual',
  token: 'a token that a commit returned, here or elsewhere',
  on_stale: 'primary, stale, error',
  max_wait: 'milliseconds, at most 60000',
  pool: 'the name of a pool',
} as const;

export type RouteSettingName = keyof typeof ROUTE_SETTINGS;

const PREFIX = 'understudy.';
const MEMBER = /^[A-Za-z0-9_-]{1,40}$/;
const POOL = /^[A-Za-z0-9_-]{1,63}$/;
const MAX_WAIT_MAX_MS = 60_000;
/** Longer than any token: what is not one is not even looked at. */
const TOKEN_CHARS_MAX = 4096;

/** Whether `name` (of a SET, a startup option) is one of the router's own. */
export const isRouteSetting = (name: string): boolean => name.toLowerCase().startsWith(PREFIX);

/** Reads one setting, `understudy.level` or `level`. An empty value takes the setting back. */
export function readSetting(name: string, value: string): SettingRead {
  const key = name.toLowerCase().startsWith(PREFIX) ? name.slice(PREFIX.length).toLowerCase() : name.toLowerCase();
  if (!isKnown(key)) return rejected(`There is no setting understudy.${key}.`, `Known are ${allNames()}.`);
  const text = value.trim();
  const settings = text === '' ? {} : readers[key](text);
  return settings === null
    ? rejected(`understudy.${key} cannot be ${JSON.stringify(text.slice(0, 60))}.`, `It takes ${ROUTE_SETTINGS[key]}.`)
    : { kind: 'read', settings };
}

/** Reads the router's settings among startup options; the others are left to the server. */
export function readStartupOptions(options: ReadonlyMap<string, string>): SettingRead {
  let settings: RouteSettings = {};
  for (const [name, value] of options) {
    if (!isRouteSetting(name)) continue;
    const read = readSetting(name, value);
    if (read.kind === 'rejected') return read;
    settings = { ...settings, ...read.settings };
  }
  return { kind: 'read', settings };
}

const HINT = /\bunderstudy\s*:\s*([^*\n]*)/gi;
const PAIR = /([a-z_]+)\s*=\s*("[^"]*"|[^\s,;]+)/gi;

/**
 * Reads `understudy: route=replica level=bounded(500)` in the text of a comment. What it does not know is skipped: a comment is no
 * command, and a hint only ever narrows what the class of a statement allows. `node=NAME` is short for `route=node:NAME`.
 */
export function readHint(comment: string): RouteSettings {
  let settings: RouteSettings = {};
  for (const [, body = ''] of comment.matchAll(HINT)) {
    for (const [, name = '', quoted = ''] of body.matchAll(PAIR)) {
      const value = quoted.startsWith('"') ? quoted.slice(1, -1) : quoted;
      const read = name.toLowerCase() === 'node' ? readSetting('route', `node:${value}`) : readSetting(name, value);
      if (read.kind === 'read') settings = { ...settings, ...read.settings };
    }
  }
  return settings;
}

const readers: Readonly<Record<RouteSettingName, (text: string) => RouteSettings | null>> = {
  route: (text) => {
    const target = readTarget(text);
    return target === null ? null : { target };
  },
  level: (text) => {
    const level = parseLevel(text);
    return level === null ? null : { level };
  },
  token: (text) => (text.length > TOKEN_CHARS_MAX ? null : { tokens: [text] }),
  on_stale: (text) => {
    const onStale = text.toLowerCase();
    return isStalePolicy(onStale) ? { onStale } : null;
  },
  max_wait: (text) => {
    const maxWaitMs = Number(/^([0-9]{1,5})\s*(?:ms)?$/.exec(text)?.[1] ?? Number.NaN);
    return maxWaitMs <= MAX_WAIT_MAX_MS ? { maxWaitMs } : null;
  },
  pool: (text) => (POOL.test(text) ? { pool: text } : null),
};

const isStalePolicy = (text: string): text is StalePolicy => text === 'primary' || text === 'stale' || text === 'error';

function readTarget(text: string): RouteTarget | null {
  const word = text.toLowerCase();
  if (word === 'auto' || word === 'primary' || word === 'replica') return { kind: word };
  const [, member] = /^node\s*:\s*(.+)$/i.exec(text) ?? [];
  return member !== undefined && MEMBER.test(member) ? { kind: 'node', member: memberId(member) } : null;
}

const isKnown = (key: string): key is RouteSettingName => Object.hasOwn(ROUTE_SETTINGS, key);
const allNames = (): string =>
  Object.keys(ROUTE_SETTINGS)
    .map((name) => `${PREFIX}${name}`)
    .join(', ');

const rejected = (message: string, nextStep: string): SettingRead => ({
  kind: 'rejected',
  error: new RoutingError('SETTING_INVALID', `${message} ${nextStep}`, {
    retry: 'unsafe',
    sqlState: '22023',
    nextStep,
  }),
});
