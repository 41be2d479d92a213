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
export { PairError, type PairErrorCode } from './errors.ts';
export { checkServers } from './offset/checks.ts';
export type { Finding, ServerFacts } from './offset/facts.ts';
export { type Login, parseLogin, parseOptionFile } from './offset/login.ts';
export { OffsetServer, readFacts } from './offset/server.ts';
export { type CopyPrograms, offsetSetup, type SetupResult } from './offset/setup.ts';
export { type OffsetStatus, offsetStatus } from './offset/status.ts';
export { type Account, offsetSwitchover, type SwitchoverResult } from './offset/switchover.ts';
export { byHand, failoverRefusal, stepsToGtid } from './offset/to-gtid.ts';
