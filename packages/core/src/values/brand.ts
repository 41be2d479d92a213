/** Branded primitives: the compiler keeps an epoch from being added to a duration. */
import type { Brand } from '@understudy/base/brands';

export { addMs, type Brand, elapsedMs, type Ms, ms, type Revision, revision } from '@understudy/base/brands';

/** Counts leaderships: grows by exactly one with every change of leader (or re-opening of the same one). */
export type Epoch = Brand<number, 'Epoch'>;
/** Name of a cluster member, unique in the cluster: letters, digits, `-`, `_`; at most 40 characters. */
export type MemberId = Brand<string, 'MemberId'>;
/** Random text made anew by every agent process: tells two agents of one name apart. */
export type Incarnation = Brand<string, 'Incarnation'>;
/** Identifies the history that a server belongs to for its whole life (PostgreSQL: the system identifier). */
export type SystemId = Brand<string, 'SystemId'>;

export const epoch = (value: number): Epoch => value as Epoch;
export const memberId = (value: string): MemberId => value as MemberId;
export const incarnation = (value: string): Incarnation => value as Incarnation;
export const systemId = (value: string): SystemId => value as SystemId;

/** The epoch after `previous`. */
export const nextEpoch = (previous: Epoch): Epoch => (previous + 1) as Epoch;
