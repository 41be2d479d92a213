import type { MemberId } from '@understudy/core';
import { DEFAULT_LEVEL, type Level } from './level.ts';

/** Where a statement may go. `auto`: by its class. `replica`: a replica, if it is a confirmed read. `node`: that member, if it may. */
export type RouteTarget =
  | { readonly kind: 'auto' }
  | { readonly kind: 'primary' }
  | { readonly kind: 'replica' }
  | { readonly kind: 'node'; readonly member: MemberId };

/** What happens when no replica is provably fresh within `maxWaitMs`: ask the primary, read a stale replica, or refuse. */
export type StalePolicy = 'primary' | 'stale' | 'error';

/** What somebody said about routing at one place. What is absent is left to the scope around it. */
export interface RouteSettings {
  readonly target?: RouteTarget;
  readonly level?: Level;
  /** Encoded tokens; all of them count, whatever scope they come from. */
  readonly tokens?: readonly string[];
  readonly onStale?: StalePolicy;
  /** How long a read may wait for a replica to catch up. 0: not at all. */
  readonly maxWaitMs?: number;
  readonly pool?: string;
}

/** From the outside in; the innermost scope that says something wins. */
export const SCOPES = ['cluster', 'pool', 'connection', 'transaction', 'statement'] as const;
export type Scope = (typeof SCOPES)[number];

export type ScopedSettings = Partial<Readonly<Record<Scope, RouteSettings>>>;

/** What holds for one statement, and which scope said it (`default`: nobody). */
export interface ResolvedSettings {
  readonly target: RouteTarget;
  readonly level: Level;
  readonly tokens: readonly string[];
  readonly onStale: StalePolicy;
  readonly maxWaitMs: number;
  readonly pool: string | null;
  readonly from: { readonly target: Scope | 'default'; readonly level: Scope | 'default' };
}

export const DEFAULT_MAX_WAIT_MS = 30;

/**
 * The settings of one statement. Each setting is looked up alone, innermost scope first. Tokens are collected instead: more of them
 * only ask for more. A token at level `session` raises it to `causal`; at `eventual`, `bounded` and `strong` it changes nothing.
 */
export function resolveSettings(scopes: ScopedSettings): ResolvedSettings {
  const tokens = SCOPES.flatMap((scope) => scopes[scope]?.tokens ?? []);
  const [level, levelFrom] = innermost(scopes, 'level', DEFAULT_LEVEL);
  const [target, targetFrom] = innermost(scopes, 'target', { kind: 'auto' });
  const isRaised = level.kind === 'session' && tokens.length > 0;
  return {
    target,
    level: isRaised ? { kind: 'causal' } : level,
    tokens,
    onStale: innermost(scopes, 'onStale', 'primary')[0],
    maxWaitMs: innermost(scopes, 'maxWaitMs', DEFAULT_MAX_WAIT_MS)[0],
    pool: innermost<'pool', string | null>(scopes, 'pool', null)[0],
    from: { target: targetFrom, level: levelFrom },
  };
}

function innermost<Key extends Exclude<keyof RouteSettings, 'tokens'>, Other = never>(
  scopes: ScopedSettings,
  key: Key,
  otherwise: NonNullable<RouteSettings[Key]> | Other,
): [NonNullable<RouteSettings[Key]> | Other, Scope | 'default'] {
  for (const scope of SCOPES.toReversed()) {
    const said = scopes[scope]?.[key];
    if (said !== undefined) return [said as NonNullable<RouteSettings[Key]>, scope];
  }
  return [otherwise, 'default'];
}
