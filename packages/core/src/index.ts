export { planRestore, type RestorePlan, type RestoreView } from './bootstrap/restore.ts';
export {
  mayBeNoted,
  needsNote,
  newerMark,
  restsOn,
  type StoreFault,
  type StorePast,
  storePast,
} from './bootstrap/store-past.ts';
export { decide } from './decide.ts';
export { standingWarnings } from './durability/ack-rule-change.ts';
export { acknowledgesNow, isSyncStandby } from './durability/acknowledging.ts';
export { type RecoveryPoint, recoveryPoint } from './durability/recovery-point.ts';
export {
  type CandidateOutlook,
  explainFailover,
  type FailoverOutlook,
  type ProofOutlook,
} from './explain/explain-failover.ts';
export { describeCommand, explainMember, type MemberExplanation } from './explain/explain-member.ts';
export { type LossOutlook, lossOutlook } from './explain/host-loss.ts';
export { type ForcedLoss, forcedLoss } from './failover/forced-loss.ts';
export { ackEvidenceAt, leaseUntil } from './fencing/authority.ts';
export * from './fencing/guard-rules.ts';
export { type Serves, servesAt } from './leader/serving.ts';
export * from './position/gtid.ts';
export * from './position/position.ts';
export * from './position/wal.ts';
export { isFedBy } from './replica/feeding.ts';
export { type KeptBudget, type KeptFolder, type KeptPlan, planKept } from './replica/kept.ts';
export {
  type MoveObjection,
  type MoveSettings,
  type MoveView,
  objectionToMove,
  upstreamsAfter,
} from './replica/move.ts';
export { circleAmong, wantedUpstream } from './replica/topology.ts';
export { isUrgent } from './requests/urgency.ts';
export * from './values/ack-rule.ts';
export * from './values/apply-put.ts';
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
