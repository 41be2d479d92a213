export {
  checkRouterConfig,
  type ListenAddress,
  loadRouterConfig,
  type RouterConfig,
  type RouterConfigInput,
} from './config/config.ts';
export { RouterError, type RouterErrorCode } from './errors.ts';
export type { WorkerReport } from './supervisor/messages.ts';
export { type RouterEvent, type RouterOptions, type RunningRouter, startRouter } from './supervisor/supervisor.ts';
export type { ClusterView, MemberView } from './topology/view.ts';
