export type { PairOptions } from './circular/options.ts';
export { createPair, Pair, readPairLogin } from './circular/pair.ts';
export { type PairEvent, type PairFile, readPairFile } from './circular/pair-file.ts';
export { PairError, type PairErrorCode, pairErrorCodes, reasonOf } from './errors.ts';
