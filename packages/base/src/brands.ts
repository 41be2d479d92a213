/** Branded primitives: the compiler keeps an instant from being mixed up with a revision. They cost nothing at run time. */

declare const brand: unique symbol;

/** A value of type `T` that cannot be mixed up with another one of the same shape. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** An instant of CLOCK_MONOTONIC, or a duration, in milliseconds. Never wall-clock time. */
export type Ms = Brand<number, 'Ms'>;

/** A revision of the consensus store, as the store reports it: grows with every committed write. */
export type Revision = Brand<number, 'Revision'>;

export const ms = (value: number): Ms => value as Ms;
export const revision = (value: number): Revision => value as Revision;

/** `instant` moved by `deltaMs` milliseconds. */
export const addMs = (instant: Ms, deltaMs: number): Ms => ms(instant + deltaMs);

/** Milliseconds from `earlier` to `later`. */
export const elapsedMs = (earlier: Ms, later: Ms): number => later - earlier;
