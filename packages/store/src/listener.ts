/** Calls a watch's listener so that a mistake in it cannot stop the watch or the process. */

import { visible } from '@understudy/core/visible';
import { StoreError } from './errors.ts';
import type { Snapshot, WatchListener } from './port.ts';

export function deliverSnapshot(listener: WatchListener, snapshot: Snapshot): void {
  try {
    listener.onSnapshot(snapshot);
  } catch (cause) {
    const message = `The listener of a store watch threw at revision ${snapshot.revision}: ${String(cause)}.`;
    const { next } = StoreError.table['listener-failed'];
    deliverError(listener, new StoreError('listener-failed', message, { next, cause }));
  }
}

export function deliverError(listener: WatchListener, error: StoreError): void {
  try {
    listener.onError(error);
  } catch (cause) {
    process.emitWarning(visible(`onError of a store watch threw: ${String(cause)}`), {
      code: 'UNDERSTUDY_STORE_LISTENER',
    });
  }
}
