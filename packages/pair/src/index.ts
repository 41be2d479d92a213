export { describePair, destroyPair, type PairDescription, pairStatus, stopPair } from './circular/manage.ts';
export type { PairOptions } from './circular/options.ts';
export { createPair, Pair, readPairLogin } from './circular/pair.ts';
export { type PairEvent, type PairFile, readPairFile } from './circular/pair-file.ts';
export { askPair } from './control/client.ts';
export {
  type CheckResult,
  checkResultSchema,
  type PairNode,
  type PairStatus,
  type Problem,
  planSchema,
  type RepairPlan,
  type RepairResult,
  repairResultSchema,
  switchResultSchema,
  writersResultSchema,
} from './control/protocol.ts';
export { PairError, type PairErrorCode, pairErrorCodes, reasonOf } from './errors.ts';
