export * from './position/gtid.ts';
export * from './position/position.ts';
export * from './position/wal.ts';
export { standingWarnings } from './protocol/ackers.ts';
export { decide } from './protocol/decide.ts';
export {
  type CandidateOutlook,
  explainFailover,
  type FailoverOutlook,
  type ProofOutlook,
} from './protocol/explain.ts';
export { describeCommand, explainMember, type MemberExplanation } from './protocol/explain-member.ts';
export { type KeptBudget, type KeptFolder, type KeptPlan, planKept } from './protocol/kept.ts';
export { ackEvidenceAt, leaseUntil } from './protocol/lease.ts';
export { type LossOutlook, lossOutlook } from './protocol/losses.ts';
export { planRestore, type RestorePlan, type RestoreView } from './protocol/restore.ts';
export { type RecoveryPoint, recoveryPoint } from './protocol/rpo.ts';
export {
  mayBeNoted,
  needsNote,
  newerMark,
  restsOn,
  type StoreFault,
  type StorePast,
  storePast,
} from './protocol/store-past.ts';
export { circleAmong, wantedUpstream } from './protocol/topology.ts';
export * from './values/ack-rule.ts';
export * from './values/brand.ts';
export * from './values/command.ts';
export * from './values/config.ts';
export * from './values/decision.ts';
export * from './values/engine-state.ts';
export * from './values/member.ts';
export * from './values/observation.ts';
export * from './values/reason.ts';
export * from './values/record.ts';
export * from './values/store-mark.ts';
export { visible, visibleLine } from './values/visible.ts';
