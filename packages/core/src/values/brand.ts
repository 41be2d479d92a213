/**
 * Branded primitives: the compiler keeps an epoch from being added to a duration. They cost nothing at run time.
 */
declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A duration or an instant of one process's monotonic clock, in milliseconds. Never wall-clock time. */
export type Ms = Brand<number, 'Ms'>;
/** Counts leaderships: grows by exactly one with every change of leader (or re-opening of the same one). */
export type Epoch = Brand<number, 'Epoch'>;
/** Revision of one key of the consensus store, as the store reports it. */
export type Revision = Brand<number, 'Revision'>;
/** Name of a cluster member, unique in the cluster: letters, digits, `-`, `_`; at most 40 characters. */
export type MemberId = Brand<string, 'MemberId'>;
/** Random text made anew by every agent process: tells two agents of one name apart. */
export type Incarnation = Brand<string, 'Incarnation'>;
/** Identifies the history that a server belongs to for its whole life (PostgreSQL: the system identifier). */
export type SystemId = Brand<string, 'SystemId'>;

export const ms = (value: number): Ms => value as Ms;
export const epoch = (value: number): Epoch => value as Epoch;
export const revision = (value: number): Revision => value as Revision;
export const memberId = (value: string): MemberId => value as MemberId;
export const incarnation = (value: string): Incarnation => value as Incarnation;
export const systemId = (value: string): SystemId => value as SystemId;

/** The epoch after `previous`. */
export const nextEpoch = (previous: Epoch): Epoch => (previous + 1) as Epoch;
/** `instant` moved by `deltaMs` milliseconds. */
export const addMs = (instant: Ms, deltaMs: number): Ms => (instant + deltaMs) as Ms;
/** Milliseconds from `earlier` to `later`. */
export const elapsedMs = (earlier: Ms, later: Ms): number => later - earlier;
