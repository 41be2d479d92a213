import { type Ms, ms } from '../brands.ts';

/**
 * Now, on CLOCK_MONOTONIC, in ms: the clock that all processes of one boot share and nobody sets. Instants of two processes compare;
 * instants of two boots or two machines do not.
 */
export const monotonicMs = (): Ms => ms(Number(process.hrtime.bigint()) / 1e6);
