import type { Revision } from '@understudy/base';
import type { StoreId } from '../port.ts';

/** What every answer says about the store that gave it. */
export interface AnswerHeader {
  readonly clusterId: StoreId;
  readonly revision: Revision;
}
