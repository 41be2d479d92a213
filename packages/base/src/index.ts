export { addMs, type Brand, elapsedMs, type Ms, ms, type Revision, revision } from './brands.ts';
export {
  codeOf,
  defineErrors,
  type ErrorDetails,
  type ErrorKind,
  type ErrorRow,
  type ErrorTable,
  problemOf,
  type Retry,
  reasonOf,
  UnderstudyError,
} from './errors.ts';
export { Backoff } from './time/backoff.ts';
export { monotonicMs } from './time/clock.ts';
export { Deadline, withDeadline } from './time/deadline.ts';
export { InterruptedError, throwIfInterrupted } from './time/interrupt.ts';
export { pause, pauseUnlessInterrupted } from './time/pause.ts';
export { type PollTiming, pollUntil } from './time/poll.ts';
